"""The development server: all functions behind one port, with the web page and an emulation of the cloud around them."""

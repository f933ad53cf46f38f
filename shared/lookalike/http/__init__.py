"""The doors: which route is whose (routes), who may pass (door), what a request holds (asking), what is answered (handlers)."""

"""Soak test: clients write and search for minutes while the server is killed, and every answer is checked."""

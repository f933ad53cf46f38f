"""Handlers, one function per route: read the request, call a use case, build the response."""

"""Use cases: everything that lookalike does, independent of HTTP, the command line and the concrete adapters."""

"""Staged releases on Cloud Run. `python3 -m infra.release --help`. Needs nothing but Python's standard library."""

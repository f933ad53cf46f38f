"""lookalike finds similar fashion items in photographs."""

__version__ = "0.1.0"

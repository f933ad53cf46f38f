"""Wiring: builds adapters from the settings and use cases from the adapters.

`services()` gives the one set of this process. The modules by concern (`storage`, `models`, `full_models`, `index`,
`accounts`) read settings and return adapters; only they know adapter classes, and they import them when called.
"""

from lookalike.bootstrap.models import WEIGHTS
from lookalike.bootstrap.services import Services, services

__all__ = ["WEIGHTS", "Services", "services"]

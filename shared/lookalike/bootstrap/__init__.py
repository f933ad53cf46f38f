"""Wiring: builds adapters from the settings and use cases from the adapters.

`services()` returns the services of this process. The modules `storage`, `models`, `full_models`, `index` and `accounts`
read the settings and return adapters. Only these modules name adapter classes. They import them when called, not at import.
"""

from lookalike.bootstrap.models import WEIGHTS
from lookalike.bootstrap.services import Services, services

__all__ = ["WEIGHTS", "Services", "services"]

"""Ports: the interfaces through which the use cases reach models, storage, database, indexes and accounts.

Each port has one contract test, which runs against every adapter and fake that implements the port.
"""

from collections.abc import Callable
from datetime import datetime

from lookalike.domain.ports.api_keys import ApiKeyStore
from lookalike.domain.ports.browse import BrowseCatalog
from lookalike.domain.ports.catalog import Catalog, Snapshot
from lookalike.domain.ports.index import ApproximateFormat, Approximation, IndexFormat, MutableIndex, VectorIndex
from lookalike.domain.ports.models import Detector, Embedder, TextEmbedder
from lookalike.domain.ports.object_store import ObjectStore
from lookalike.domain.ports.products import Products
from lookalike.domain.ports.telemetry import Gauge, Gauges, RequestRecord, Telemetry, TraceParent
from lookalike.domain.ports.users import Accounts, Attempts, Auth, History, Revocations
from lookalike.domain.ports.vectors import LegacyRows, SecondaryVectors

__all__ = [
    "Accounts",
    "ApiKeyStore",
    "ApproximateFormat",
    "Approximation",
    "Attempts",
    "Auth",
    "BrowseCatalog",
    "Catalog",
    "Clock",
    "Detector",
    "Embedder",
    "Gauge",
    "Gauges",
    "History",
    "IndexFormat",
    "LegacyRows",
    "MutableIndex",
    "ObjectStore",
    "Products",
    "RequestRecord",
    "Revocations",
    "SecondaryVectors",
    "Snapshot",
    "Telemetry",
    "TextEmbedder",
    "TraceParent",
    "VectorIndex",
]

Clock = Callable[[], datetime]
"""Returns the current time, with a time zone."""

"""Settings -> Services: the only place that chooses and builds adapters, each when first asked for, once a process."""

import functools
import importlib.util
import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from lookalike import logs
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import ORIGINAL_DIM, ORIGINAL_EMBEDDER, Calibration
from lookalike.domain.ports import ApproximateFormat, Auth, Catalog, Detector, Embedder, IndexFormat, ObjectStore
from lookalike.domain.user_ports import Accounts, Attempts
from lookalike.local import process
from lookalike.local.secrets import Secrets, local_secrets
from lookalike.settings import Settings, read_settings
from lookalike.usecases.adopt import AdoptDatabase
from lookalike.usecases.erase import Erase
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.history import SearchHistory
from lookalike.usecases.import_index import ImportIndex
from lookalike.usecases.ingest import Ingest
from lookalike.usecases.jobs import Jobs
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.reembed import Reembed
from lookalike.usecases.reindex import Reindex
from lookalike.usecases.search import Search
from lookalike.usecases.segments import Segments
from lookalike.usecases.sign_in import SignIn
from lookalike.usecases.split import Split
from lookalike.usecases.upload import Upload
from lookalike.usecases.versions import IndexVersions

if TYPE_CHECKING:
    from lookalike.adapters.catalog import SqlCatalog
    from lookalike.adapters.catalog.database import Creator
    from lookalike.adapters.local_auth import LocalAuth

log = logging.getLogger("lookalike.bootstrap")
T = TypeVar("T")
WEIGHTS = Path(__file__).parent / "weights"
POOL = 5
"""Connections to a server that each process keeps; the adapter says how many more it may open."""
MARGIN = 10
"""Seconds before the host's time-out at which work stops, so that the answer still gets out."""


class lazy(Generic[T]):  # noqa: N801 - reads as a decorator
    """A property built when first asked for, by one thread, while the others wait."""

    def __init__(self, build: Callable[[Any], T]) -> None:
        self._build, self._name = build, build.__name__
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, services: None, owner: type) -> "lazy[T]": ...
    @overload
    def __get__(self, services: "Services", owner: type) -> T: ...
    def __get__(self, services: "Services | None", owner: type) -> "T | lazy[T]":
        if services is None:
            return self
        with services.lock:
            if self._name not in services.built:
                services.built[self._name] = self._build(services)
            built: T = services.built[self._name]
            return built


class Services:
    """Everything a function needs. Nothing is opened, loaded or started before it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.built: dict[str, Any] = {}

    @lazy
    def catalog(self) -> Catalog:
        return self._sql_catalog

    @lazy
    def adopt(self) -> AdoptDatabase:
        """Of a database of the original system."""
        return AdoptDatabase(self._sql_catalog, self.store, ORIGINAL_EMBEDDER)

    @lazy
    def _sql_catalog(self) -> "SqlCatalog":
        from lookalike.adapters.catalog import open_catalog

        if self.settings.database.startswith("sqlite"):
            self.upgrade_database()
            # a file has no limit of connections
            return open_catalog(self.settings.database, pool_size=self.settings.concurrency)
        return open_catalog(self.settings.database, POOL, self._creator)

    def upgrade_database(self) -> None:
        from lookalike.adapters.catalog import upgrade

        upgrade(self.settings.database, creator=self._creator)

    @lazy
    def _creator(self) -> "Creator | None":
        settings = self.settings
        if not settings.cloud_sql_instance:
            return None
        from lookalike.adapters.catalog.cloud_sql import CloudSql

        password = settings.db_password.get_secret_value()
        return CloudSql(settings.cloud_sql_instance, settings.db_user, password, settings.db_name).connect

    @lazy
    def store(self) -> ObjectStore:
        return self.open_store(self.settings.store)

    def open_store(self, address: str) -> ObjectStore:
        """The bucket at `gs://bucket/prefix` or in `file:folder`."""
        kind, _, place = address.partition(":")
        if kind == "gs":
            from lookalike.adapters.cloud_store import CloudStore

            bucket, _, prefix = place.removeprefix("//").partition("/")
            return CloudStore(bucket, prefix, *self._storage_emulator())
        from lookalike.adapters.directory_store import DirectoryStore

        url = f"http://localhost:{self.settings.port}/bucket"
        return DirectoryStore(Path(place), url, bytes.fromhex(self._secrets.urls))

    def _storage_emulator(self) -> tuple[Any, ...]:
        if not self.settings.storage_emulator_host:
            return ()
        from google.auth.credentials import AnonymousCredentials

        return self.settings.storage_emulator_host, AnonymousCredentials()

    @lazy
    def models(self) -> Models:
        places = self.settings.models_queue or self.settings.concurrency
        if self.settings.models == "full":
            from lookalike.full import open_models

            # they bring those together themselves who wait at the same time
            return Models(*open_models(self.settings, self.weights_bucket), places, max_concurrency=places)
        return Models(*self._compact_models(), places)

    @lazy
    def _embedder_name_and_dim(self) -> tuple[str, int]:
        """The embedder's name and how many numbers it gives; building an index needs no more of it."""
        if self.settings.models == "full":
            from lookalike.full import vectors_of

            return vectors_of(self.settings)
        from lookalike.adapters.compact_embedder import CompactEmbedder

        return CompactEmbedder.name, CompactEmbedder.dim

    @property
    def weights_bucket(self) -> ObjectStore | None:
        return self.open_store(self.settings.weights) if self.settings.weights.startswith("gs:") else None

    def _compact_models(self) -> tuple[Detector, Embedder]:
        from lookalike.adapters.compact_detector import CompactDetector
        from lookalike.adapters.compact_embedder import CompactEmbedder

        began = time.monotonic()
        detector, embedder = CompactDetector(WEIGHTS / "detector.onnx"), CompactEmbedder(WEIGHTS / "embedder.onnx")
        log.info("Models loaded", extra={"seconds": round(time.monotonic() - began, 3), "embedder": embedder.name})
        return detector, embedder

    @lazy
    def auth(self) -> Auth:
        if self.settings.sign_in != "local:":
            from lookalike.adapters.supabase_auth import SupabaseAuth

            return SupabaseAuth(self.settings.sign_in, self.settings.supabase_jwt_secret.get_secret_value())
        return self._local_auth

    @property
    def _local_auth(self) -> "LocalAuth":
        from lookalike.adapters.local_auth import LocalAuth

        return LocalAuth(self._secrets.tokens)

    @lazy
    def accounts(self) -> Accounts:
        if self.settings.sign_in != "local:":
            from lookalike.adapters.supabase_accounts import SupabaseAccounts

            keys = self.settings.supabase_key, self.settings.supabase_service_key
            return SupabaseAccounts(self.settings.sign_in, *(key.get_secret_value() for key in keys))
        from lookalike.adapters.local_accounts import LocalAccounts

        return LocalAccounts(self.settings.lookalike_home / "accounts.db", self._local_auth)

    @lazy
    def attempts(self) -> Attempts:
        return self._sql_catalog

    @lazy
    def sign_in(self) -> SignIn:
        return SignIn(self.accounts, self.attempts, _now)

    @lazy
    def versions(self) -> IndexVersions:
        if self._uses_external_index:
            raise Misconfigured("INDEX_URL names Milvus, where an index has no versions")
        return self._index_versions(*self._embedder_name_and_dim)

    def _index_versions(self, embedder: str, dim: int) -> IndexVersions:
        above = self.settings.approximate_above
        exact, approximate = self._index_format, self._approximate_format
        return IndexVersions(self.store, exact, self._signing_key, embedder, dim, _now, approximate, above)

    @property
    def _approximate_format(self) -> ApproximateFormat | None:
        """None without the extra `[scale]`."""
        if importlib.util.find_spec("faiss") is None:
            return None
        from lookalike.adapters.faiss_index import FaissFormat

        return FaissFormat()

    @lazy
    def _index_format(self) -> IndexFormat:
        from lookalike.adapters.neighbours_index import NeighboursFormat

        return NeighboursFormat()

    @lazy
    def index(self) -> LiveIndex:
        source = self._external_index if self._uses_external_index else self.versions
        return LiveIndex(source, self.catalog, *self._embedder_name_and_dim)

    @property
    def _uses_external_index(self) -> bool:
        return self.settings.index_url.startswith("milvus:")

    @lazy
    def _external_index(self) -> ExternalIndex:
        from lookalike.adapters.milvus_index import MilvusIndex

        place = self.settings.index_url.removeprefix("milvus:")
        index = MilvusIndex(place, self.settings.milvus_token.get_secret_value(), *self._embedder_name_and_dim)
        return ExternalIndex(index, self.catalog, self.store, self._signing_key, *self._embedder_name_and_dim, _now)

    @property
    def _notify_external_index(self) -> Callable[[], object]:
        return self._external_index.announce if self._uses_external_index else lambda: None

    @lazy
    def jobs(self) -> Jobs:
        return Jobs(self.catalog, self.settings.request_timeout - MARGIN)

    @lazy
    def upload(self) -> Upload:
        stale = timedelta(seconds=self.settings.request_timeout)
        keep = self.settings.keep_originals
        alone = process.identity(), process.is_gone
        return Upload(self.models, self.store, self.catalog, keep, stale, *alone, self._notify_external_index)

    @lazy
    def split(self) -> Split:
        return Split(self.models)

    @lazy
    def search(self) -> Search:
        return Search(self.models, self.index, self.store, self.catalog, self._calibration)

    @property
    def _calibration(self) -> Calibration | None:
        """Of the embedder in use, if what its similarities mean was measured."""
        known = json.loads((WEIGHTS / "calibration.json").read_text())
        return (
            Calibration(known["slope"], known["offset"], known["copies"])
            if known["embedder"] == self._embedder_name_and_dim[0]
            else None
        )

    @lazy
    def history(self) -> SearchHistory:
        return SearchHistory(self._sql_catalog, self.catalog, _now)

    @lazy
    def segments(self) -> Segments:
        return Segments(self.catalog, self.store, self._notify_external_index)

    @lazy
    def erase(self) -> Erase:
        seconds = self.settings.request_timeout - MARGIN
        return Erase(self.segments, self.catalog, self._sql_catalog, _now, seconds)

    @lazy
    def ingest(self) -> Ingest:
        return Ingest(self.upload, self.segments, self.catalog, self.jobs)

    @lazy
    def reindex(self) -> Reindex | ExternalIndex:
        if self._uses_external_index:
            return self._external_index
        return Reindex(self.catalog, self.versions, self.settings.reindex_after)

    @lazy
    def import_index(self) -> ImportIndex:
        """Of the original system's embedder, whichever is in use."""
        versions = self._index_versions(ORIGINAL_EMBEDDER, ORIGINAL_DIM)
        return ImportIndex(self._sql_catalog, self._sql_catalog, Reindex(self._sql_catalog, versions))

    def with_models(self, models: str, embedder: str) -> "Services":
        """Others, on the same database and bucket."""
        return Services(self.settings.model_copy(update={"models": models, "embedder": embedder}))

    @lazy
    def reembed(self) -> Reembed:
        """To the embedder of these."""
        return Reembed(self._sql_catalog, self._sql_catalog, self.store, self.models, self.reindex, self.index)

    @lazy
    def _secrets(self) -> Secrets:
        return local_secrets(self.settings.lookalike_home)

    @property
    def _signing_key(self) -> bytes:
        return (self.settings.index_signing_key.get_secret_value() or self._secrets.index).encode()


def _now() -> datetime:
    return datetime.now(UTC)


@functools.cache
def services() -> Services:
    """Those of this process. Call it while handling, never at import: the host forks after importing."""
    settings = read_settings()
    logs.start(settings.log_level)
    return Services(settings)

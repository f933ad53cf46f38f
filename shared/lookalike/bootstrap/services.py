"""All use cases of one process, built from the settings on first use."""

import functools
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lookalike import logs
from lookalike.bootstrap import folder_models, index, models, storage, telemetry
from lookalike.bootstrap.administration import AdminServices
from lookalike.bootstrap.folder_models import ModelFolder
from lookalike.bootstrap.index import utc_now
from lookalike.bootstrap.lazy import lazy
from lookalike.bootstrap.memory import limit_heap
from lookalike.bootstrap.products import ProductServices
from lookalike.bootstrap.secrets import Secrets, local_secrets
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import IDENTICAL_SIMILARITY, ORIGINAL_DIM, ORIGINAL_EMBEDDER
from lookalike.domain.ports import Catalog, Gauge, ObjectStore, Telemetry
from lookalike.settings import Settings, read_settings
from lookalike.usecases.adopt import AdoptDatabase
from lookalike.usecases.bucket_ingest import BucketIngest
from lookalike.usecases.catalog_report import BuildReport
from lookalike.usecases.duplicate_review import DuplicateReview
from lookalike.usecases.erase import Erase
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.import_index import ImportIndex
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.ingest import Ingest
from lookalike.usecases.ingestions import Ingestions
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.missing_vectors import MissingVectors
from lookalike.usecases.models import Models
from lookalike.usecases.photo_objects import PhotoObjects
from lookalike.usecases.photo_reader import PhotoReader
from lookalike.usecases.reembed import Reembed
from lookalike.usecases.reindex import Reindex
from lookalike.usecases.search import Search
from lookalike.usecases.segments import Segments
from lookalike.usecases.split import Split
from lookalike.usecases.upload import Upload

if TYPE_CHECKING:
    from lookalike.adapters.catalog import SqlCatalog

TIMEOUT_MARGIN = 10
"""Seconds before the host's request timeout at which work stops, to leave time for sending the error response."""


class Services(ProductServices, AdminServices):
    """Use cases and adapters of one process. Each property opens or loads its object on first access."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self.lazy_values: dict[str, Any] = {}

    # Storage

    @lazy
    def catalog(self) -> Catalog:
        """The database of photos, segments, product details, jobs and the ingestion ledger."""
        return self._sql_catalog

    @lazy
    def _sql_catalog(self) -> "SqlCatalog":
        return storage.open_catalog(self.settings)

    def upgrade_database(self) -> None:
        """Create the tables or migrate them to the newest revision."""
        storage.upgrade_database(self.settings)

    @lazy
    def store(self) -> ObjectStore:
        """The bucket that STORE_URL names."""
        return self.open_store(self.settings.store)

    def open_store(self, address: str) -> ObjectStore:
        """Open the bucket at `gs://bucket/prefix` or `file:folder`."""
        return storage.open_store(self.settings, lambda: self._secrets, address)

    @property
    def weights_bucket(self) -> ObjectStore | None:
        """The bucket that MODELS_DIR names, or `None` if it names a folder."""
        return self.open_store(self.settings.weights) if self.settings.weights.startswith("gs:") else None

    # Models

    @lazy
    def models(self) -> Models:
        """The detector and the embedder. The first access loads them."""
        return models.open_models(self.settings, self.weights_bucket, self._detector_folder, self.embedder_folder)

    @property
    def _embedder_name_and_dim(self) -> tuple[str, int]:
        return models.embedder_name_and_dim(self.settings, self.embedder_folder)

    @lazy
    def embedder_folder(self) -> ModelFolder | None:
        """The model folder that EMBEDDER names, or `None`. Opens no network."""
        location = self.settings.embedder_folder
        return folder_models.find_folder(location, "embedder", self.open_store) if location else None

    @lazy
    def _detector_folder(self) -> ModelFolder | None:
        location = self.settings.detector_folder
        return folder_models.find_folder(location, "detector", self.open_store) if location else None

    # Index

    @lazy
    def index(self) -> LiveIndex:
        """The live index: the published snapshot merged with rows added or deleted since."""
        source = self._external_index if self._uses_external_index else self.versions
        return LiveIndex(source, self.catalog, *self._embedder_name_and_dim)

    @lazy
    def versions(self) -> IndexVersions:
        """The index versions in the bucket. Raises `Misconfigured` if INDEX_URL names an external index."""
        if self._uses_external_index:
            raise Misconfigured("INDEX_URL names Milvus, which has no index versions; set INDEX_URL=store: to use them")
        return self._index_versions(*self._embedder_name_and_dim)

    def _index_versions(self, embedder: str, dim: int) -> IndexVersions:
        return index.open_index_versions(self.settings, self.store, self._signing_key, embedder, dim)

    @lazy
    def _external_index(self) -> ExternalIndex:
        return index.open_external_index(
            self.settings, self.catalog, self.store, self._signing_key, *self._embedder_name_and_dim
        )

    @property
    def _uses_external_index(self) -> bool:
        return index.uses_external_index(self.settings)

    @property
    def _notify_external_index(self) -> Callable[[], object]:
        """Function to call after the commit of a write. Updates the external index; does nothing with index versions."""
        return self._external_index.sync_recent_changes if self._uses_external_index else lambda: None

    @lazy
    def reindex(self) -> Reindex | ExternalIndex:
        """Builds and publishes index versions, or reconciles the external index."""
        if self._uses_external_index:
            return self._external_index
        return Reindex(self.catalog, self.versions, self.settings.reindex_after)

    @lazy
    def import_index(self) -> ImportIndex:
        """Imports the original system's index, whichever embedder is in use."""
        versions = self._index_versions(ORIGINAL_EMBEDDER, ORIGINAL_DIM)
        return ImportIndex(self._sql_catalog, self._sql_catalog, Reindex(self._sql_catalog, versions))

    @lazy
    def reembed(self) -> Reembed:
        """Computes vectors of these services' embedder for stored segments."""
        return Reembed(self._sql_catalog, self._sql_catalog, self.store, self.models, self.reindex, self.index)

    @lazy
    def missing_vectors(self) -> MissingVectors:
        """Counts the garments that have vectors of other models only."""
        return MissingVectors(self._sql_catalog, self._embedder_name_and_dim[0])

    def with_models(self, models: str, embedder: str) -> "Services":
        """Return services with other models on the same database and bucket."""
        return Services(self.settings.model_copy(update={"models": models, "embedder": embedder}))

    # Photos and garments

    @lazy
    def upload(self) -> Upload:
        """Stores a photo's garments."""
        from lookalike.adapters import process_identity

        stale = timedelta(seconds=self.settings.request_timeout)
        holder = process_identity.process_identity(), process_identity.is_process_gone
        return Upload(
            self.models,
            self.store,
            self.catalog,
            self.settings.keep_originals,
            stale,
            *holder,
            self._notify_external_index,
            self._photo_reader,
        )

    @lazy
    def _photo_reader(self) -> PhotoReader:
        return PhotoReader()

    @lazy
    def split(self) -> Split:
        """Cuts out a photo's garments. Does not store them."""
        return Split(self.models, self._photo_reader)

    @lazy
    def search(self) -> Search:
        """Finds stored garments by examples and conditions. Loads the models for the first example to be embedded."""
        embedder = self._embedder_name_and_dim[0]
        return Search(
            lambda: self.models,
            embedder,
            self.index,
            self.store,
            self.catalog,
            models.read_calibration(embedder, self.embedder_folder),
            self._photo_reader,
            self._signing_key,
        )

    @lazy
    def photo_objects(self) -> PhotoObjects:
        """Reads photos that requests name by their address in the bucket."""
        return PhotoObjects(self.store, self.settings.bucket, self.settings.prefix)

    @lazy
    def segments(self) -> Segments:
        """Reads, changes and deletes stored garments and product details."""
        return Segments(self.catalog, self.store, self._notify_external_index)

    @lazy
    def erase(self) -> Erase:
        """Erases garments with their rows, images and search history entries."""
        return Erase(self.segments, self.catalog, self._sql_catalog, utc_now, self._time_limit, self._deferred_writes)

    @lazy
    def duplicates(self) -> DuplicateReview:
        """Finds, decides and merges copies of garments."""
        embedder = self._embedder_name_and_dim[0]
        calibration = models.read_calibration(embedder, self.embedder_folder)
        threshold = calibration.duplicate_threshold if calibration else IDENTICAL_SIMILARITY
        return DuplicateReview(
            self.catalog,
            self._sql_catalog,
            lambda: self.index,
            self.store,
            self.segments,
            self.erase,
            embedder,
            threshold,
        )

    @lazy
    def catalog_report(self) -> BuildReport:
        """Reports about the quality of the catalog."""
        embedder = self._embedder_name_and_dim[0]
        count = self.missing_vectors.count
        return BuildReport(self.catalog, self._sql_catalog, self.store, self.index, self.duplicates, embedder, count)

    @lazy
    def ingest(self) -> Ingest:
        """Stores photos from events and folders, each version once."""
        return Ingest(self.upload, self.segments, self.catalog, self.jobs)

    @lazy
    def bucket_ingest(self) -> BucketIngest:
        """Stores photos from single objects of the bucket that STORE_URL names."""
        return BucketIngest(self.ingest, self.store, self.settings.prefix, self._time_limit)

    @lazy
    def ingestions(self) -> Ingestions:
        """Shows the ingestion ledger and retries failures."""
        return Ingestions(self.bucket_ingest, self.catalog, self.settings.bucket, utc_now)

    @lazy
    def adopt(self) -> AdoptDatabase:
        """Migrates rows of an original system's database."""
        return AdoptDatabase(self._sql_catalog, self.store, ORIGINAL_EMBEDDER)

    # Operations

    @lazy
    def telemetry(self) -> Telemetry | None:
        """Sends traces and metrics, if the variables `OTEL_*` name a receiver."""
        gauges = (
            Gauge("lookalike.models.requests", "{request}", "Requests that wait for the models.", self._queue_length),
            Gauge("lookalike.index.rows", "{row}", "Rows of the index.", self._index_rows),
        )
        return telemetry.open_telemetry(self.settings.k_service or "lookalike", gauges)

    # A measurement must not load the models or the index.

    def _queue_length(self) -> int | None:
        opened: Models | None = self.lazy_values.get("models")
        return opened.queue_length if opened else None

    def _index_rows(self) -> int | None:
        opened: LiveIndex | None = self.lazy_values.get("index")
        return opened.row_count if opened else None

    # Secrets and limits

    @lazy
    def _secrets(self) -> Secrets:
        return local_secrets(self.settings.lookalike_home)

    @property
    def _signing_key(self) -> bytes:
        return (self.settings.index_signing_key.get_secret_value() or self._secrets.index).encode()

    @property
    def _time_limit(self) -> float:
        """Seconds after which work stops."""
        return self.settings.request_timeout - TIMEOUT_MARGIN


@functools.cache
def services() -> Services:
    """Return the services of this process.

    Call it while handling a request, never at import: the host forks after importing.
    """
    limit_heap()
    settings = read_settings()
    logs.configure_logging(settings.log_level)
    return Services(settings)

"""Build what administrators use: corrections of stored garments, and the state of index, models and jobs."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from lookalike.bootstrap.index import utc_now
from lookalike.bootstrap.lazy import lazy
from lookalike.bootstrap.users import UserServices
from lookalike.usecases.claims import Claims
from lookalike.usecases.consistency import Inspection, Repair
from lookalike.usecases.consistency.index_check import ExternalCheck, IndexCheck, VersionCheck
from lookalike.usecases.index_overview import IndexOverview
from lookalike.usecases.job_figures import JobFigures
from lookalike.usecases.model_overview import EmbedderChoice, ModelOverview
from lookalike.usecases.name_claims import NameClaims
from lookalike.usecases.rebuild import Rebuild
from lookalike.usecases.recut import Recut

if TYPE_CHECKING:
    from lookalike.bootstrap.services import Services
    from lookalike.usecases.external_index import ExternalIndex
    from lookalike.usecases.index_versions import IndexVersions
    from lookalike.usecases.ingest import Ingest
    from lookalike.usecases.leases import Leases
    from lookalike.usecases.live_index import LiveIndex
    from lookalike.usecases.models import Models
    from lookalike.usecases.photo_reader import PhotoReader
    from lookalike.usecases.reindex import Reindex
    from lookalike.usecases.segments import Segments

BUILT_IN_EMBEDDERS = (("compact", ""), ("full", "resnet50"), ("full", "dinov2"))
"""Values of MODELS and EMBEDDER that need no model folder."""


class AdminServices(UserServices):
    """The part of the services for administrators."""

    if TYPE_CHECKING:
        models: Models
        index: LiveIndex
        versions: IndexVersions
        _external_index: ExternalIndex
        _photo_reader: PhotoReader
        segments: Segments
        ingest: Ingest
        leases: Leases
        reindex: Reindex | ExternalIndex

        @property
        def _embedder_name_and_dim(self) -> tuple[str, int]: ...

        @property
        def _uses_external_index(self) -> bool: ...

        @property
        def _notify_external_index(self) -> Callable[[], object]: ...

        def with_models(self, models: str, embedder: str) -> Services: ...

    @lazy
    def recut(self) -> Recut:
        """Cuts stored garments out of their photos again."""
        from lookalike.adapters import process_identity

        timeout = timedelta(seconds=self.settings.request_timeout)
        claims = Claims(self.store, timeout, process_identity.process_identity(), process_identity.is_process_gone)
        names = NameClaims(claims, self.store, self.catalog)
        change, photos = self._notify_external_index, self._photo_reader
        return Recut(self.models, self.store, self.catalog, names, change, photos)

    @lazy
    def inspection(self) -> Inspection:
        """Compares catalog, bucket and index."""
        return Inspection(self._sql_catalog, self._sql_catalog, self.store, self._index_check)

    @lazy
    def repair(self) -> Repair:
        """Mends catalog, bucket and index."""
        catalog, models = self._sql_catalog, (lambda: self.ingest, lambda: self.recut)
        return Repair(catalog, catalog, self.store, self.segments, self.jobs, self._index_check, *models)

    @lazy
    def _index_check(self) -> IndexCheck:
        if self._uses_external_index:
            return ExternalCheck(self._external_index)
        return VersionCheck(self.catalog, self.versions)

    @lazy
    def index_overview(self) -> IndexOverview:
        """Shows and chooses index versions."""
        return IndexOverview(self.index, self._external_index if self._uses_external_index else self.versions)

    @lazy
    def rebuild(self) -> Rebuild:
        """Rebuilds the index for administrators: here, or on Cloud Run with the next call of the schedule."""
        builds_here = not self.settings.k_service
        return Rebuild(self.catalog, lambda: self.reindex.build(), self.leases, builds_here)

    @lazy
    def model_overview(self) -> ModelOverview:
        """Says what each embedder lacks."""
        return ModelOverview(self._sql_catalog, self._embedder_choices())

    def _embedder_choices(self) -> list[EmbedderChoice]:
        settings = self.settings
        current = EmbedderChoice(settings.models, settings.embedder, *self._embedder_name_and_dim)
        built_in = [
            EmbedderChoice(*pair, *self.with_models(*pair)._embedder_name_and_dim) for pair in BUILT_IN_EMBEDDERS
        ]
        return [current, *(choice for choice in built_in if choice.name != current.name)]

    @lazy
    def job_figures(self) -> JobFigures:
        """Figures of the last day."""
        return JobFigures(self.catalog, utc_now, self._deferred_writes)

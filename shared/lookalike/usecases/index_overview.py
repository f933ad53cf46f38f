"""State of the index for administrators: the version in use and the ones before it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.domain.errors import Conflict
from lookalike.domain.model import Manifest
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.index_versions import IndexVersions, PointerState
from lookalike.usecases.live_index import IndexInfo, LiveIndex


@dataclass(frozen=True, slots=True)
class IndexState:
    """The searched index, the pointer to the current version, and all versions, oldest first."""

    info: IndexInfo
    pointer: PointerState | None
    versions: Sequence[Manifest]


@dataclass(frozen=True, slots=True)
class IndexOverview:
    """Shows and chooses index versions. An external index has none."""

    index: LiveIndex
    source: IndexVersions | ExternalIndex

    def read(self) -> IndexState:
        """Return the state of the index. Loads the index. Raises `Untrusted` for an invalid pointer, `Unavailable`."""
        return IndexState(self.index.warm_up(), self.source.current(), self.source.list_manifests())

    def roll_back(self, version: str | None) -> Manifest:
        """Make an older version current and pin it, by default the one before the current one.

        Raises as `IndexVersions.roll_back`, and `Conflict` for an external index.
        """
        if isinstance(self.source, ExternalIndex):
            raise Conflict("INDEX_URL names Milvus, which has no index versions to return to: rebuild it instead")
        return self.source.roll_back(version)

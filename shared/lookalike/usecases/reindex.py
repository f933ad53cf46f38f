"""The rows of the catalogue become an index version."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from lookalike.domain.errors import NotFound, Untrusted
from lookalike.domain.model import Manifest
from lookalike.domain.ports import Catalogue, Clock
from lookalike.usecases.versions import IndexVersions

log = logging.getLogger("lookalike.index")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reindex:
    catalogue: Catalogue
    versions: IndexVersions
    embedder_name: str
    dim: int
    clock: Clock = _now

    def build(self, only_if_changed: bool = False) -> Manifest:
        """Publish a version of all living rows; the current one where nothing changed, if that is asked for.

        Raises `Conflict` if another was published in the meantime.
        """
        if only_if_changed and (current := self._unchanged()):
            return current
        started = self.clock()
        rows = self.catalogue.changes(self.embedder_name, 0)
        manifest = self.versions.publish(self.embedder_name, self.dim, rows.row_ids, rows.vectors, rows.upto, started)
        log.info("Index version %s holds %d rows", manifest.version, manifest.rows)
        return manifest

    def _unchanged(self) -> Manifest | None:
        """The current version's, if it is whole and nothing was committed since."""
        try:
            pointer = self.versions.current()
            if pointer is None or pointer.embedder != self.embedder_name:
                return None
            if self.catalogue.changes(self.embedder_name, pointer.commit).upto != pointer.commit:
                return None
            return self.versions.read(pointer.version, self.embedder_name, self.dim)[0]
        except (Untrusted, NotFound) as error:
            log.error("The current index version is built anew. %s", error)
            return None

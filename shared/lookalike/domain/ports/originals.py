"""Port of the catalog for the consistency check: photos with a stored original."""

from typing import Protocol

from lookalike.domain.model import Photo


class Originals(Protocol):
    """Photos with an original in the object store. Implementations are those of `Catalog`."""

    def photos_with_original(self, after: str, limit: int) -> list[Photo]:
        """Return the next `limit` photos with an original, ordered by name. `after` is the last one before, or ""."""
        ...

    def forget_original(self, photo: Photo) -> bool:
        """Record that a photo has no original any more. Returns false if it was deleted or has another one by now."""
        ...

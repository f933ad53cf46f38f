"""Photos with an original, of the catalog in memory."""

from dataclasses import replace

from lookalike.domain.model import Photo
from tests.fakes.database import transaction
from tests.fakes.duplicates import FakeDuplicates


class FakeOriginals(FakeDuplicates):
    """Queries of the port `Originals`."""

    @transaction
    def photos_with_original(self, after: str, limit: int) -> list[Photo]:
        found = [photo for name, photo in sorted(self._photos.items()) if photo.path and name > after]
        return found[:limit]

    @transaction
    def forget_original(self, photo: Photo) -> bool:
        if photo.path is None or self._photos.get(photo.name) != photo:
            return False
        self._photos[photo.name] = replace(photo, path=None)
        return True

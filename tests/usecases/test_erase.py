"""What is erased is told, whatever goes wrong on the way."""

from datetime import UTC, datetime

import pytest

from lookalike.domain.errors import NotFound, Unavailable
from lookalike.usecases.erase import Erase
from lookalike.usecases.items import Items
from lookalike.usecases.sweep import sweep
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.store import FakeStore
from tests.usecases.index_world import World, unit


class House(World):
    """A photo of five garments, with their objects."""

    def __init__(self) -> None:
        super().__init__()
        self.row_ids = self.add(unit(5))
        for segment in self.catalogue.segments(self.row_ids).values():
            for path in (segment.path, segment.thumbnail):
                self.store.put(path or "", b"pixels", "image/png")
        items = Items(self.catalogue, self.store)
        self.erase = Erase(items, self.catalogue, self.catalogue, lambda: datetime.now(UTC), 60)


def test_a_bucket_that_is_away_leaves_objects_for_the_sweep() -> None:
    house = House()
    delete = house.store.delete

    def away(path: str, if_generation: int | None = None) -> bool:
        raise Unavailable("Not now")

    house.store.delete = away  # type: ignore[method-assign]
    receipt = house.erase.photo("photo-0")
    assert (receipt.garments, receipt.photos, receipt.objects, receipt.left) == (5, 1, 0, 10)
    with pytest.raises(NotFound):
        house.erase.photo("photo-0")
    house.store.delete = delete  # type: ignore[method-assign]
    assert sweep(house.store, house.catalogue, older_than=-1) == 10


def test_a_database_that_goes_away_half_way_keeps_nobody_from_the_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    house, real = House(), FakeCatalogue.delete_segment
    deleted = list[str]()

    def sometimes(self: FakeCatalogue, name: str) -> object:
        if len(deleted) == 2:
            raise Unavailable("The database cannot be reached")
        deleted.append(name)
        return real(self, name)

    monkeypatch.setattr(FakeCatalogue, "delete_segment", sometimes)
    house.catalogue.away = True
    with pytest.raises(Unavailable):
        house.erase.photo("photo-0")
    house.catalogue.away = False
    receipt = house.erase.photo("photo-0")
    assert (receipt.segments, receipt.garments, receipt.remaining) == (deleted, 2, 3)
    monkeypatch.undo()
    again = house.erase.photo("photo-0")
    assert (again.garments, again.photos, again.remaining) == (3, 1, 0)
    assert isinstance(house.store, FakeStore) and list(house.store.list()) == []

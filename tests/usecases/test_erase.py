"""What is erased is told, whatever goes wrong on the way."""

from datetime import UTC, datetime

import pytest

from lookalike.domain.errors import NotFound, Unavailable
from lookalike.domain.model import LedgerEntry, LedgerStatus, StoredObject
from lookalike.usecases.erase import Erase
from lookalike.usecases.segments import Segments
from lookalike.usecases.sweep import sweep
from tests.fakes.catalog import FakeCatalog
from tests.fakes.store import FakeStore
from tests.usecases.index_world import World, unit


class House(World):
    """A photo of five garments, with their objects."""

    def __init__(self) -> None:
        super().__init__()
        self.row_ids = self.add(unit(5))
        for segment in self.catalog.segments(self.row_ids).values():
            for path in (segment.path, segment.thumbnail):
                self.store.put(path or "", b"pixels", "image/png")
        items = Segments(self.catalog, self.store)
        self.erase = Erase(items, self.catalog, self.catalog, lambda: datetime.now(UTC), 60)

    def came_from(self, path: str) -> StoredObject:
        source = self.store.put(path, b"as it came", "image/jpeg")
        self.catalog.record_ledger_entry(
            LedgerEntry("bucket", path, str(source.generation), LedgerStatus.DONE, photo="photo-0")
        )
        return source


def test_a_bucket_that_is_away_leaves_objects_for_the_sweep() -> None:
    house = House()
    delete = house.store.delete

    def away(path: str, if_generation: int | None = None) -> bool:
        raise Unavailable("Not now")

    house.store.delete = away  # type: ignore[method-assign]
    receipt = house.erase.erase_photo("photo-0")
    assert (receipt.garments, receipt.photos, receipt.objects, receipt.left) == (5, 1, 0, 10)
    with pytest.raises(NotFound):
        house.erase.erase_photo("photo-0")
    house.store.delete = delete  # type: ignore[method-assign]
    assert sweep(house.store, house.catalog, older_than=-1) == 10


def test_a_history_that_is_away_remains(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: FakeCatalog, user: str) -> int:
        raise Unavailable("The database cannot be reached")

    house = House()
    monkeypatch.setattr(FakeCatalog, "row_ids_of_owner", lambda self, user: house.row_ids)
    monkeypatch.setattr(FakeCatalog, "delete_jobs_of_owner", away)
    receipt = house.erase.erase_owner("anna")
    assert (receipt.garments, receipt.jobs, receipt.remaining) == (5, 0, 1)
    monkeypatch.setattr(FakeCatalog, "row_ids_of_owner", lambda self, user: [])
    with pytest.raises(Unavailable):
        house.erase.erase_owner("anna")
    monkeypatch.undo()
    assert house.erase.erase_owner("anna").remaining == 0


def test_what_another_erases_meanwhile_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    house, real = House(), Segments.delete_segment
    other = house.catalog.segments_of_photo("photo-0")[2].name

    def beside(self: Segments, key: str | int) -> object:
        house.catalog.delete_segment(other)
        return real(self, key)

    monkeypatch.setattr(Segments, "delete_segment", beside)
    receipt = house.erase.erase_photo("photo-0")
    assert (receipt.garments, receipt.photos, receipt.remaining) == (4, 1, 0) and other not in receipt.segments


class TestSources:
    """What lies under `incoming/`, as it came, with all that it tells of where and when."""

    def test_it_goes_with_the_last_garment(self) -> None:
        house = House()
        source = house.came_from("incoming/a.jpg")
        names = [one.name for one in house.catalog.segments_of_photo("photo-0")]
        receipts = [house.erase.erase_segment(name) for name in names]
        assert [one.objects for one in receipts] == [2, 2, 2, 2, 3]
        assert house.store.stat(source.path) is None

    def test_what_was_written_again_or_lies_elsewhere_stays(self) -> None:
        house = House()
        elsewhere, again = house.came_from("folder/a.jpg"), house.came_from("incoming/b.jpg")
        newer = house.store.put(again.path, b"another", "image/jpeg", again.generation)
        assert house.erase.erase_photo("photo-0").objects == 10
        assert house.store.stat(elsewhere.path) == elsewhere and house.store.stat(newer.path) == newer

    def test_while_it_cannot_go_the_garment_stays(self, monkeypatch: pytest.MonkeyPatch) -> None:
        house = House()
        source = house.came_from("incoming/a.jpg")

        def away(self: FakeStore, path: str, if_generation: int | None = None) -> bool:
            raise Unavailable("Not now")

        with monkeypatch.context() as patch:
            patch.setattr(FakeStore, "delete", away)
            receipt = house.erase.erase_photo("photo-0")
        assert (receipt.garments, receipt.remaining) == (4, 1)
        assert house.erase.erase_photo("photo-0").photos == 1 and house.store.stat(source.path) is None

    def test_of_two_who_erase_at_once_one_takes_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        house, real = House(), Segments.delete_segment
        source = house.came_from("incoming/a.jpg")
        *names, other, last = [one.name for one in house.catalog.segments_of_photo("photo-0")]
        for name in names:
            house.erase.erase_segment(name)

        def beside(self: Segments, key: str | int) -> object:
            monkeypatch.setattr(Segments, "delete_segment", real)
            house.catalog.delete_segment(other)
            return real(self, key)

        monkeypatch.setattr(Segments, "delete_segment", beside)
        house.erase.erase_segment(last)
        assert house.store.stat(source.path) is None


def test_a_database_that_goes_away_half_way_keeps_nobody_from_the_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    house, real = House(), FakeCatalog.delete_segment
    deleted = list[str]()

    def sometimes(self: FakeCatalog, name: str) -> object:
        if len(deleted) == 2:
            raise Unavailable("The database cannot be reached")
        deleted.append(name)
        return real(self, name)

    monkeypatch.setattr(FakeCatalog, "delete_segment", sometimes)
    house.catalog.is_unavailable = True
    with pytest.raises(Unavailable):
        house.erase.erase_photo("photo-0")
    house.catalog.is_unavailable = False
    receipt = house.erase.erase_photo("photo-0")
    assert (receipt.segments, receipt.garments, receipt.remaining) == (deleted, 2, 3)
    monkeypatch.undo()
    again = house.erase.erase_photo("photo-0")
    assert (again.garments, again.photos, again.remaining) == (3, 1, 0)
    assert isinstance(house.store, FakeStore) and list(house.store.list()) == []

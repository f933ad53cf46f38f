"""Import of a catalog: conflicts, damaged images, interruptions, and what other processes do meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from lookalike.domain.duplicates import Decision
from lookalike.domain.errors import Conflict, InvalidImage, Unavailable
from lookalike.domain.model import Box, Photo, ProductDetails, Segment
from lookalike.domain.product import Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.domain.transfer import ImportedPhoto, TransferDecision, TransferGarment, TransferPhoto
from lookalike.usecases.claims import Claims
from lookalike.usecases.import_catalog import ImportCatalog, ImportReport
from lookalike.usecases.import_catalog.photos import PAGE_SIZE
from lookalike.usecases.leases import Leases
from lookalike.usecases.name_claims import NameClaims
from tests.fakes.store import FakeStore
from tests.fakes.transfer import FakeTransferCatalog

MODEL, OLDER = "model", "older-model"
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


def make_photo(name: str, count: int = 1, **fields: Any) -> ImportedPhoto:
    garments = []
    for number in range(count):
        path = f"{name}/segment_{number}"
        segment = Segment(
            0, f"{name}_segment_{number}", f"{path}.png", f"{path}.jpg", name, Box(0, 0, 1, 1), "dress", 0.5, MOMENT
        )
        vector = np.array([number + 1, 1], np.float32)
        garments.append(TransferGarment(segment, MODEL, {MODEL: vector / np.linalg.norm(vector)}))
    photo = Photo(name, "ab" * 32, 3, 4, f"{name}/original.jpg", "anna")
    item = ImportedPhoto(TransferPhoto(name, replace(photo, **fields), MOMENT, tuple(garments)), {})
    images: dict[str, Callable[[], bytes]] = {path: lambda path=path: path.encode() for path in item.paths}  # type: ignore[misc]
    return replace(item, images=images)


@dataclass
class Source:
    """An export in memory."""

    photo_list: list[ImportedPhoto] = field(default_factory=list)
    details_list: list[ProductDetails] = field(default_factory=list)
    product_list: list[StoredProduct] = field(default_factory=list)
    decision_list: list[TransferDecision] = field(default_factory=list)

    def photos(self) -> Iterator[ImportedPhoto]:
        return iter(self.photo_list)

    def details(self) -> Iterator[ProductDetails]:
        return iter(self.details_list)

    def products(self) -> Iterator[StoredProduct]:
        return iter(self.product_list)

    def decisions(self) -> Iterator[TransferDecision]:
        return iter(self.decision_list)


class Harness:
    """A system to import into."""

    def __init__(self) -> None:
        self.catalog, self.store = FakeTransferCatalog(), FakeStore()

    def make_import(self, claim_timeout: float = 60) -> ImportCatalog:
        """Return the use case as a process of its own has it."""
        claims = Claims(self.store, timedelta(seconds=claim_timeout))
        names = NameClaims(claims, self.store, self.catalog)
        return ImportCatalog(
            self.catalog, self.store, names, Leases(Claims(self.store, timedelta(minutes=1))), MODEL, 2
        )

    def run(self, source: Source) -> ImportReport:
        return self.make_import().run(source, {MODEL: 2})

    def paths(self) -> set[str]:
        return {stored.path for stored in self.store.list()}

    def check_objects(self) -> None:
        """Every row has its objects, and there are no others."""
        row_ids = self.catalog.matching_row_ids(None, {}).tolist()
        names = {segment.photo for segment in self.catalog.segments(row_ids).values()}
        expected = {path for name in names for path in self._paths_of(name)}
        assert self.paths() == expected

    def _paths_of(self, name: str) -> Iterator[str]:
        photo = self.catalog.photo(name)
        yield from [photo.path] if photo and photo.path else []
        for segment in self.catalog.segments_of_photo(name):
            yield from (segment.path, str(segment.thumbnail))


@pytest.fixture
def there() -> Harness:
    return Harness()


def full_source() -> Source:
    look = StoredPicture("https://shop.example/1.jpg", None, None, "ab" * 32, "look", "look_segment_0")
    return Source(
        [make_photo("look", 2), make_photo("other"), *(make_photo(f"p{number}") for number in range(PAGE_SIZE))],
        [ProductDetails("look_segment_0", brand="Ost"), ProductDetails("look"), ProductDetails("nothing")],
        [StoredProduct(Product("A", pictures=(look.address,)), "shop", (look,))],
        [TransferDecision("look_segment_0", "look_segment_1", Decision.REJECTED)],
    )


def counts(report: ImportReport) -> list[list[int]]:
    return [[*vars(one).values()] for one in (report.photos, report.details, report.products, report.decisions)]


def test_everything_is_stored_once(there: Harness) -> None:
    report, total = there.run(full_source()), PAGE_SIZE + 2
    assert counts(report) == [[total, 0, 0, 0], [3, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert report.garments_stored == total + 1 and report.problem_count == 0
    there.check_objects()
    before = there.catalog.changes(MODEL, 0).last_commit
    again = there.run(full_source())
    assert counts(again) == [[0, total, 0, 0], [0, 3, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]
    assert there.catalog.changes(MODEL, 0).last_commit == before


@pytest.mark.parametrize("fields", [{"sha256": "cd" * 32}, {"owner": "bert"}, {"width": 30}])
def test_another_photo_of_the_name_is_a_conflict_with_all_that_is_about_it(
    there: Harness, fields: dict[str, Any]
) -> None:
    there.run(Source([make_photo("look", 2, **fields)]))
    report = there.run(full_source())
    assert counts(report) == [[PAGE_SIZE + 1, 0, 1, 0], [1, 0, 2, 0], [1, 0, 0, 0], [0, 0, 1, 0]]
    assert report.problems[0].reason == "another photo of this name is stored"
    assert there.catalog.details(["look_segment_0", "look"]) == {}
    assert there.catalog.products(["A"])["A"].pictures == (StoredPicture("https://shop.example/1.jpg"),)
    there.check_objects()


def test_different_garments_details_products_and_decisions_stay(there: Harness) -> None:
    there.run(full_source())
    changed = full_source()
    garments = changed.photo_list[0].photo.garments
    moved = replace(garments[0], segment=replace(garments[0].segment, box=Box(0, 0, 2, 2)))
    turned = replace(garments[1], vectors={MODEL: np.array([0, 1], np.float32)})
    for number, wrong in enumerate([(moved, garments[1]), (garments[0], turned), garments[:1]]):
        changed.photo_list = [
            replace(changed.photo_list[0], photo=replace(changed.photo_list[0].photo, garments=wrong))
        ]
        report = there.run(replace(changed, details_list=[], product_list=[], decision_list=[]))
        assert counts(report)[0] == [0, 0, 1, 0], number
    changed.photo_list = []
    changed.details_list = [ProductDetails("look", brand="Marlow")]
    changed.product_list = [replace(changed.product_list[0], feed="another")]
    changed.decision_list = [replace(changed.decision_list[0], decision=Decision.ACCEPTED)]
    assert counts(there.run(changed))[1:] == [[0, 0, 1, 0]] * 3
    assert counts(there.run(full_source()))[0][1] == PAGE_SIZE + 2


def test_product_that_is_changed_meanwhile_stays(there: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    source, read = full_source(), there.catalog.products
    (product,) = source.product_list
    without_photo = replace(product, pictures=(StoredPicture("https://shop.example/1.jpg"),))
    there.run(replace(source, product_list=[without_photo]))
    edited = replace(without_photo, product=replace(without_photo.product, title="Edited"))

    def read_before_an_edit(names: Sequence[str]) -> dict[str, StoredProduct]:
        found = read(names)
        there.catalog.save_product(edited)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(there.catalog, "products", read_before_an_edit)
        report = there.run(source)
    assert counts(report)[2] == [0, 0, 1, 0] and "changed meanwhile" in report.problems[0].reason
    assert there.catalog.products(["A"])["A"] == edited


def test_vectors_that_stored_garments_lack_are_added(there: Harness) -> None:
    there.run(full_source())
    source = full_source()
    (garment, *rest) = source.photo_list[0].photo.garments
    more = replace(garment, vectors={**garment.vectors, OLDER: np.array([1, 0, 0], np.float32)})
    photo = replace(source.photo_list[0].photo, garments=(more, *rest))
    report = there.run(Source([replace(source.photo_list[0], photo=photo)]))
    assert (report.photos.unchanged, report.vectors_added) == (1, 1)
    assert len(there.catalog.changes(OLDER, 0).row_ids) == 1


def test_damaged_and_missing_images_fail_their_photo_only(there: Harness) -> None:
    def damaged() -> bytes:
        raise InvalidImage("the image is damaged")

    source = Source([make_photo("look"), make_photo("other"), make_photo("good"), make_photo("bad")])
    images = dict(source.photo_list[0].images)
    source.photo_list[0] = replace(source.photo_list[0], images={**images, "look/segment_0.png": damaged})
    del source.photo_list[1].images["other/segment_0.jpg"]  # type: ignore[attr-defined]
    (bad,) = source.photo_list[3].photo.garments
    bad = replace(bad, segment=replace(bad.segment, path="index/current.json"))
    source.photo_list[3] = replace(source.photo_list[3], photo=replace(source.photo_list[3].photo, garments=(bad,)))
    report = there.run(source)
    assert counts(report)[0] == [1, 0, 0, 3]
    assert [one.reason for one in report.problems] == [
        "the image is damaged",
        "the image other/segment_0.jpg is neither in the export nor in the bucket",
        "'index/current.json' is not the path of an image",
    ]
    there.check_objects()


def test_garment_or_object_of_another_photo_is_a_conflict(there: Harness) -> None:
    there.run(Source([make_photo("look")]))
    source = Source([make_photo("first"), make_photo("second"), make_photo("third")])
    for number, fields in enumerate([{"name": "look_segment_0"}, {"path": "look/segment_0.png"}]):
        (garment,) = source.photo_list[number].photo.garments
        garment = replace(garment, segment=replace(garment.segment, **fields))  # type: ignore[arg-type]
        item = source.photo_list[number]
        item = replace(item, photo=replace(item.photo, garments=(garment,)))
        source.photo_list[number] = replace(item, images={path: lambda: b"image" for path in item.paths})
    report = there.run(source)
    assert counts(report)[0] == [1, 0, 2, 0]
    assert [one.reason for one in report.problems] == [
        "a garment of this name belongs to another photo",
        "the object look/segment_0.png belongs to another photo",
    ]
    there.check_objects()


def test_interrupted_import_resumes(there: Harness) -> None:
    """The store or the database fails at every call, one after the other."""
    expected = Harness()
    expected.run(full_source())
    for calls in range(200):
        system = Harness()
        mend = fail_after(system, calls)
        try:
            system.run(full_source())
            is_complete = True
        except Unavailable:
            is_complete = False
        mend()
        report = system.run(full_source())
        assert report.problem_count == 0
        assert (system.paths() - {path for path in system.paths() if path.startswith(".")}) == expected.paths()
        assert sum(map(sum, counts(report))) == PAGE_SIZE + 2 + 3 + 1 + 1
        if is_complete:
            assert calls > 100
            return


def fail_after(system: Harness, calls: int) -> Callable[[], None]:
    """Make catalog and store unavailable after that many calls of these methods. Returns a function that undoes it."""
    left, originals = [calls], []
    for target, names in ((system.store, ["put", "stat"]), (system.catalog, ["import_photos", "put_details"])):
        for name in names:
            original = getattr(target, name)

            def call(*args: Any, original: Callable[..., Any] = original, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Unavailable("not now")
                return original(*args, **kwargs)

            setattr(target, name, call)
            originals.append((target, name))

    def mend() -> None:
        for target, name in originals:
            delattr(target, name)

    return mend


def test_second_import_is_refused_meanwhile(there: Harness) -> None:
    refused = list[str]()

    def import_again(report: ImportReport) -> None:
        with pytest.raises(Conflict) as raised:
            there.run(full_source())
        refused.append(raised.value.message)

    there.make_import().run(Source([make_photo("look")]), {MODEL: 2}, import_again)
    assert set(refused) == {"Another import into this system is running: try again when it has finished"}


def test_vectors_of_another_dimension_are_refused(there: Harness) -> None:
    with pytest.raises(Conflict, match="different models of the same name"):
        there.make_import().run(full_source(), {MODEL: 3})
    assert not there.paths()


def test_slow_store_imports_in_smaller_pages(there: Harness) -> None:
    """Claims count as abandoned after their timeout, so a page must be stored before."""
    source, slow = Source([make_photo(f"p{number}") for number in range(4)]), make_slow(there, 0.02)
    report = there.make_import(claim_timeout=0.35).run(source, {MODEL: 2})
    assert report.photos.stored == 4 and slow
    there.check_objects()
    with pytest.raises(Unavailable, match="could not be written in time"):
        there.make_import(claim_timeout=0.02).run(Source([make_photo("late")]), {MODEL: 2})
    assert there.catalog.photo("late") is None


def make_slow(system: Harness, seconds: float) -> bool:
    original, lock = system.store.put, threading.Lock()

    def put(*args: Any, **kwargs: Any) -> Any:
        with lock:
            time.sleep(seconds)
        return original(*args, **kwargs)

    system.store.put = put  # type: ignore[method-assign]
    return True

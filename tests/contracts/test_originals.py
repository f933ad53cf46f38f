"""Contract of the port `Originals`."""

from dataclasses import replace
from typing import cast

from lookalike.domain.model import Photo
from lookalike.domain.ports import Catalog
from lookalike.domain.ports.originals import Originals
from tests.contracts.rows import MODEL, garment, photo


def test_photos_with_an_original_are_listed_in_pages_and_can_be_forgotten(catalog: Catalog) -> None:
    names = ["a", "B", "b", "é"]
    for name in names:
        stored = replace(photo(name), path=f"{name}/original.jpg")
        catalog.add_photo(stored, [garment(name)], MODEL)
    catalog.add_photo(replace(photo("none"), path=None), [garment("none")], MODEL)
    originals = cast(Originals, catalog)
    pages, last = [], ""
    while page := originals.photos_with_original(last, 3):
        pages.append([one.name for one in page])
        last = page[-1].name
    assert pages == [["B", "a", "b"], ["é"]]
    found: list[Photo] = originals.photos_with_original("", 10)
    assert originals.forget_original(replace(found[0], path="other.jpg")) is False
    assert originals.forget_original(found[0]) is True and originals.forget_original(found[0]) is False
    kept = catalog.photo("B")
    assert kept and kept.path is None and catalog.segments_of_photo("B")
    assert [one.name for one in originals.photos_with_original("", 10)] == ["a", "b", "é"]

"""Review of duplicates: pages of groups, decisions that stick, and merges that lose nothing."""

import io
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lookalike.domain.duplicates import Decision, PairState
from lookalike.domain.errors import Conflict, InvalidField, LookalikeError, NotFound, Unavailable
from lookalike.domain.history import PastHit, PastSearch
from lookalike.domain.model import ProductDetails
from lookalike.domain.picture_quality import measure_quality
from lookalike.usecases import duplicate_review
from lookalike.usecases.deferred_writes import DeferredWrites
from lookalike.usecases.duplicate_review import DuplicateReview
from lookalike.usecases.erase import Erase
from lookalike.usecases.segments import Segments
from tests.usecases.index_harness import EMBEDDER, IndexHarness, unit_vectors

THRESHOLD = 0.99


class ReviewHarness(IndexHarness):
    """A catalog whose rows have pictures. `add_copies` adds rows that are near each other."""

    def __init__(self) -> None:
        super().__init__()
        segments = Segments(self.catalog, self.store)
        erase = Erase(segments, self.catalog, self.catalog, lambda: datetime.now(UTC), 60, DeferredWrites())
        index = self.open_live_index().index
        self.review = DuplicateReview(
            self.catalog, self.catalog, lambda: index, self.store, segments, erase, EMBEDDER, THRESHOLD
        )

    def add_copies(self, count: int, noise: float = 0.01, size: int = 40) -> list[int]:
        """Store rows of one random direction, each a photo of its own with a picture. Return their ids."""
        vector = unit_vectors(1)
        vectors = vector + noise * unit_vectors(count)
        return [self.add_picture(row / np.linalg.norm(row), size) for row in vectors]

    def add_picture(self, vector: NDArray[np.floating], size: int = 40, blur: float = 0.0) -> int:
        (row_id,) = self.add_rows(np.asarray([vector], np.float32))
        pixels = np.random.default_rng(5).integers(0, 255, (40, 40, 3), np.uint8)
        image = Image.fromarray(pixels).resize((size, size)).filter(ImageFilter.GaussianBlur(blur))
        file = io.BytesIO()
        image.save(file, "PNG")
        segment = self.catalog.segments([row_id])[row_id]
        for path in (segment.path, segment.thumbnail):
            self.store.put(path or "", file.getvalue(), "image/png")
        return row_id

    def name(self, row_id: int) -> str:
        return self.catalog.segments([row_id])[row_id].name

    def pages(self, state: PairState = PairState.OPEN, limit: int = 2) -> list[tuple[int, ...]]:
        """Return the row ids of the groups of all pages."""
        groups, cursor = [], None
        for _ in range(1000):
            page = self.review.list_groups(state, limit, cursor)
            groups += [group.row_ids for group in page.groups]
            if (cursor := page.next_cursor) is None:
                return groups
        raise AssertionError("The pages do not end")


def test_pages_have_every_group_once_and_equal_the_comparison_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_review, "BLOCK_ROWS", 7)
    harness, expected = ReviewHarness(), []
    for number in range(9):
        expected.append(tuple(harness.add_copies(2 + number % 3)))
        harness.add_rows(unit_vectors(5))
        if number == 4:
            harness.reindex.build()
    assert harness.pages() == harness.pages(limit=100) == expected
    found = harness.review.add_decisions(harness.review.find_pairs(), PairState.OPEN)
    assert {pair.row_ids for pair in found} == {
        (first, second) for rows in expected for first in rows for second in rows if first < second
    }


def test_group_with_more_copies_than_first_neighbors_is_complete() -> None:
    harness = ReviewHarness()
    rows = harness.add_copies(30)
    harness.add_rows(unit_vectors(20))
    (group,) = harness.review.list_groups(PairState.OPEN, 10, None).groups
    assert group.row_ids == tuple(rows) and len(group.pairs) == 30 * 29 // 2


def test_page_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_review, "PAGE_SECONDS", -1.0)
    monkeypatch.setattr(duplicate_review, "BLOCK_ROWS", 3)
    harness = ReviewHarness()
    harness.add_rows(unit_vectors(10))
    rows = harness.add_copies(2)
    first = harness.review.list_groups(PairState.OPEN, 10, None)
    assert first.groups == [] and first.next_cursor
    assert harness.pages() == [tuple(rows)]


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.5", "²", "9" * 30])
def test_invalid_cursor_is_rejected(cursor: str) -> None:
    with pytest.raises(InvalidField):
        ReviewHarness().review.list_groups(PairState.OPEN, 1, cursor)


def test_empty_catalog_has_no_duplicates() -> None:
    harness = ReviewHarness()
    assert harness.pages() == [] and harness.review.find_pairs() == []


def test_decided_pairs_are_not_listed_again() -> None:
    harness = ReviewHarness()
    one, two, three = harness.add_copies(3)
    harness.review.decide(harness.name(one), str(two), Decision.REJECTED)
    assert harness.pages() == [(one, two, three)], "both are still near the third"
    harness.review.decide(harness.name(one), harness.name(three), Decision.ACCEPTED)
    assert harness.pages() == [(two, three)] and harness.pages(PairState.ACCEPTED) == [(one, three)]
    assert harness.pages(PairState.REJECTED) == [(one, two)] and harness.pages(PairState.ALL) == [(one, two, three)]
    harness.review.decide(harness.name(one), harness.name(three), None)
    assert harness.pages() == [(one, two, three)]


def test_decision_needs_two_garments() -> None:
    harness = ReviewHarness()
    (row_id,) = harness.add_copies(1)
    with pytest.raises(InvalidField):
        harness.review.decide(harness.name(row_id), str(row_id), Decision.ACCEPTED)
    with pytest.raises(NotFound):
        harness.review.decide(harness.name(row_id), "unknown", Decision.ACCEPTED)


def test_too_many_pairs_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_review, "MAX_PAIRS", 5)
    harness = ReviewHarness()
    harness.add_copies(4)
    with pytest.raises(LookalikeError, match="higher --threshold"):
        harness.review.find_pairs()


class TestMerge:
    """Merging accepted pairs."""

    def accept(self, harness: ReviewHarness, first: int, second: int) -> None:
        harness.review.decide(harness.name(first), harness.name(second), Decision.ACCEPTED)

    def test_better_picture_is_kept_with_all_references(self) -> None:
        harness = ReviewHarness()
        (small,), (large,) = harness.add_copies(1, size=20), harness.add_copies(1, size=60)
        names = harness.name(small), harness.name(large)
        harness.catalog.put_details([ProductDetails(names[0], brand="Marlow")])
        hits = [PastHit(0, small, 0.9)]
        harness.catalog.save_searches([PastSearch("one", "anna", datetime.now(UTC), {}, hits)], 9)
        self.accept(harness, small, large)
        merge = harness.review.merge(names[0], str(large))
        assert (merge.kept.name, merge.merged.name, merge.moved) == (names[1], names[0], 1)
        assert merge.receipt.segments == [names[0]] and merge.receipt.objects == 2
        assert harness.catalog.details([names[1]])[names[1]].brand == "Marlow"
        found = harness.catalog.get_search("anna", "one")
        assert found and [hit.row_id for hit in found.hits] == [large]
        assert harness.pages(PairState.ALL) == []
        with pytest.raises(NotFound):
            harness.review.merge(*names)

    def test_sharper_picture_of_the_same_size_is_kept(self) -> None:
        harness = ReviewHarness()
        vector = unit_vectors(1)[0]
        blurred, sharp = harness.add_picture(vector, blur=2), harness.add_picture(vector)
        self.accept(harness, blurred, sharp)
        assert harness.review.merge(str(blurred), str(sharp)).kept.row_id == sharp

    def test_missing_picture_is_not_kept(self) -> None:
        harness = ReviewHarness()
        rows = harness.add_copies(2)
        harness.store.delete(harness.catalog.segments(rows)[rows[0]].path)
        self.accept(harness, *rows)
        assert harness.review.merge(*map(str, rows)).kept.row_id == rows[1]

    def test_own_details_of_the_kept_garment_stay(self) -> None:
        harness = ReviewHarness()
        rows = harness.add_copies(2)
        names = [*map(harness.name, rows)]
        harness.catalog.put_details([ProductDetails(name, brand=f"of {name}") for name in names])
        self.accept(harness, *rows)
        kept = harness.review.merge(*names).kept.name
        assert harness.catalog.details([kept])[kept].brand == f"of {kept}"

    def test_pair_must_be_accepted(self) -> None:
        harness = ReviewHarness()
        rows = harness.add_copies(2)
        for decision in (None, Decision.REJECTED):
            harness.review.decide(str(rows[0]), str(rows[1]), decision)
            with pytest.raises(Conflict, match="accept the pair first"):
                harness.review.merge(*map(str, rows))
        assert len(harness.catalog.segments(rows)) == 2

    def test_all_accepted_pairs_of_a_group_end_as_one_garment(self) -> None:
        harness = ReviewHarness()
        rows = harness.add_copies(5)
        for first, second in ((0, 1), (1, 2), (2, 3)):
            self.accept(harness, rows[first], rows[second])
        merges = [*harness.review.merge_accepted()]
        assert len(merges) == 3 and rows[4] in harness.catalog.segments(rows)
        assert len(harness.catalog.segments(rows)) == 2 and [*harness.review.merge_accepted()] == []

    def test_interrupted_merge_can_be_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(self: Erase, key: str | int, dry_run: bool = False) -> None:
            raise Unavailable("The database cannot be reached")

        harness = ReviewHarness()
        rows = harness.add_copies(2)
        self.accept(harness, *rows)
        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(Erase, "erase_segment", fail)
            harness.review.merge(*map(str, rows))
        assert len(harness.catalog.segments(rows)) == 2
        assert harness.review.merge(*map(str, rows)).receipt.garments == 1


def test_quality_prefers_size_then_sharpness() -> None:
    image = Image.fromarray(np.random.default_rng(3).integers(0, 255, (50, 50), np.uint8))
    quality, blurred = measure_quality(image), measure_quality(image.filter(ImageFilter.GaussianBlur(1)))
    assert quality.is_better_than(blurred) and not blurred.is_better_than(quality)
    assert replace(blurred, area=3000).is_better_than(quality) and not replace(blurred, area=2600).is_better_than(
        quality
    )
    assert measure_quality(Image.new("RGBA", (2, 1))).sharpness == 0

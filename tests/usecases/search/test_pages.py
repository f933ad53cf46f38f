"""Pages of results: cursors, groups and diversity."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.domain.errors import InvalidField
from lookalike.domain.model import ProductDetails
from lookalike.domain.product import Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.usecases.search import GarmentExample, Include, SearchRequest
from lookalike.usecases.search.cursor import Cursor, decode_cursor, encode_cursor
from lookalike.usecases.search.ranking import maximal_marginal_relevance
from lookalike.usecases.search.result import Match
from tests.usecases.search.harness import SearchHarness

RED = GarmentExample("red_segment_0")
REQUEST = SearchRequest([RED], 3, include=Include.NONE)


def read_pages(harness: SearchHarness, request: SearchRequest) -> list[list[Match]]:
    """Return the matches of all pages."""
    pages = []
    while True:
        result = harness.run(request)
        pages.append(result.groups[0].matches)
        if result.next_cursor is None:
            return pages
        request = replace(request, cursor=result.next_cursor)


def names(matches: list[Match]) -> list[str]:
    return [match.segment.photo for match in matches]


def add_shades(harness: SearchHarness, count: int) -> None:
    """Add photos in shades of red, some of them equal."""
    for number in range(count):
        harness.add_photo(f"shade-{number}", f"rgb(250, {number // 2 * 5 + 5}, 0)")


def test_pages_contain_each_garment_once(harness: SearchHarness) -> None:
    add_shades(harness, 10)
    pages = read_pages(harness, REQUEST)
    assert [len(page) for page in pages] == [3, 3, 3, 3, 1]
    everything = harness.run(replace(REQUEST, limit=100)).groups[0].matches
    assert [name for page in pages for name in names(page)] == names(everything)


def test_the_last_page_has_no_cursor_even_if_it_is_full(harness: SearchHarness) -> None:
    assert harness.run(REQUEST).next_cursor is None


changes = st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=4)


@settings(deadline=None, max_examples=30)
@given(st.lists(changes, max_size=6), st.sampled_from([0.0, 0.4]), st.sampled_from([None, "photo"]), st.integers(1, 4))
def test_pages_are_stable_while_rows_come_and_go(
    steps: list[list[tuple[bool, int]]], diversity: float, group_by: str | None, limit: int
) -> None:
    """No garment comes twice, and none that lives throughout is missing."""
    harness = SearchHarness()
    harness.add_photo("red", "red")
    add_shades(harness, 12)
    throughout = {"red", *(f"shade-{number}" for number in range(12))}
    request = SearchRequest([RED], limit, include=Include.NONE, diversity=diversity, group_by=group_by)
    found, added = [], 0
    for step in [*steps, *[[]] * 40]:
        result = harness.run(request)
        found += names(result.groups[0].matches)
        if result.next_cursor is None:
            break
        request = replace(request, cursor=result.next_cursor)
        for adds, number in step:
            if adds:
                added += 1
                harness.add_photo(f"new-{added}", f"rgb(250, {number * 5}, 0)")
            elif f"shade-{number}" in throughout:
                throughout.remove(f"shade-{number}")
                harness.segments.delete_segment(f"shade-{number}_segment_0")
    assert result.next_cursor is None and len(found) == len(set(found)) and throughout <= set(found)


class TestCursor:
    """The cursor itself."""

    @given(st.frozensets(st.integers(0, 2**40), max_size=300), st.integers(0, 10**6))
    def test_a_cursor_survives_its_text(self, row_ids: frozenset[int], examined: int) -> None:
        cursor = Cursor(row_ids, examined)
        assert decode_cursor(encode_cursor(cursor, "request", b"key"), "request", b"key") == cursor

    def test_a_cursor_of_neighboring_rows_is_short(self) -> None:
        assert len(encode_cursor(Cursor(frozenset(range(5000, 6000))), "r" * 64, b"key")) < 400

    @given(st.text(max_size=200))
    def test_other_text_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidField, match="cursor"):
            decode_cursor(text, "request", b"key")

    def test_a_cursor_is_bound_to_the_key_and_to_the_request(self, harness: SearchHarness) -> None:
        add_shades(harness, 4)
        cursor = harness.run(REQUEST).next_cursor
        assert cursor is not None
        with pytest.raises(InvalidField, match="belongs to another request"):
            harness.run(replace(REQUEST, cursor=cursor, min_similarity=0.1))
        harness.search = replace(harness.search, cursor_key=b"another")
        with pytest.raises(InvalidField, match="not a cursor of this server"):
            harness.run(replace(REQUEST, cursor=cursor))

    def test_the_size_and_the_form_of_a_page_may_change(self, harness: SearchHarness) -> None:
        add_shades(harness, 4)
        cursor = harness.run(REQUEST).next_cursor
        rest = harness.run(replace(REQUEST, cursor=cursor, limit=9, include=Include.IMAGE)).groups[0].matches
        assert len(rest) == 4 and rest[0].image_fields


class TestDuplicates:
    """Pages with `collapse`."""

    def test_a_copy_on_a_later_page_is_left_out(self, harness: SearchHarness) -> None:
        for number in range(6):
            harness.add_photo(f"copy-{number}", "red")
        pages = read_pages(harness, replace(REQUEST, limit=1, collapse=True))
        assert names(pages[0]) == ["red"]
        assert sorted(name for page in pages for name in names(page)) == ["blue", "green", "red"]

    def test_more_copies_than_are_examined_for_a_page_do_not_end_the_pages(
        self, harness: SearchHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lookalike.usecases.search.ranking.MAX_CANDIDATES", 8)
        for number in range(30):
            harness.add_photo(f"copy-{number}", "red")
        pages = read_pages(harness, replace(REQUEST, limit=2, collapse=True))
        assert sorted(name for page in pages for name in names(page)) == ["blue", "green", "red"]


class TestGroups:
    """Option `group_by`."""

    def test_a_product_comes_once_with_its_best_view(self, harness: SearchHarness) -> None:
        add_shades(harness, 6)
        details = [ProductDetails(f"shade-{number}", url=f"https://shop.example/{number % 2}") for number in range(6)]
        harness.segments.put_details(details)
        matches = harness.run(replace(REQUEST, limit=10, group_by="product")).groups[0].matches
        assert names(matches) == ["red", "shade-0", "shade-1", "green", "blue"]
        groups = [match.group for match in matches]
        assert [(group.key, group.size) for group in groups if group] == [
            (None, 1),
            ("https://shop.example/0", 3),
            ("https://shop.example/1", 3),
            (None, 1),
            (None, 1),
        ]

    def test_products_of_feeds_are_told_apart_by_id(self, harness: SearchHarness) -> None:
        add_shades(harness, 3)
        harness.segments.put_details(
            [ProductDetails(f"shade-{number}", url="https://shop.example") for number in range(3)]
        )
        pictures = [
            StoredPicture("a", photo=f"shade-{number}", garment=f"shade-{number}_segment_0") for number in (0, 1)
        ]
        harness.catalog.save_product(StoredProduct(Product("sku-1"), "shop", tuple(pictures)))
        matches = harness.run(replace(REQUEST, limit=10, group_by="product")).groups[0].matches
        groups = [match.group for match in matches if match.group and match.group.key]
        assert [(group.key, group.size) for group in groups] == [("sku-1", 2), ("https://shop.example", 1)]

    def test_products_without_link_are_told_apart_by_name_brand_and_store(self, harness: SearchHarness) -> None:
        add_shades(harness, 3)
        named = [ProductDetails(f"shade-{number}", brand="Ost", product_name="Tee") for number in range(2)]
        harness.segments.put_details([*named, ProductDetails("shade-2", brand="Ost", product_name="Shirt")])
        matches = harness.run(replace(REQUEST, limit=10, group_by="product")).groups[0].matches
        assert [match.group.key for match in matches if match.group][:3] == [None, "Ost / Tee", "Ost / Shirt"]

    @pytest.mark.parametrize("value", [4.5, None])
    def test_groups_by_a_field_of_the_details(self, harness: SearchHarness, value: float | None) -> None:
        harness.segments.put_details([ProductDetails(name, rating=value) for name in ("red", "green", "blue")])
        matches = harness.run(replace(REQUEST, group_by="rating")).groups[0].matches
        assert names(matches) == (["red"] if value else ["red", "green", "blue"])

    def test_groups_of_a_large_catalog_are_marked_as_approximate(
        self, harness: SearchHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_shades(harness, 12)
        request = replace(REQUEST, group_by="photo")
        assert not harness.run(request).is_approximate
        monkeypatch.setattr("lookalike.usecases.search.ranking.MAX_CANDIDATES", 8)
        assert harness.run(request).is_approximate
        pages = read_pages(harness, request)
        assert len({name for page in pages for name in names(page)}) == 15


class TestDiversity:
    """Maximal marginal relevance."""

    def test_diverse_results_differ_from_each_other(self, harness: SearchHarness) -> None:
        add_shades(harness, 8)
        plain = names(harness.run(REQUEST).groups[0].matches)
        diverse = names(harness.run(replace(REQUEST, diversity=0.7)).groups[0].matches)
        assert plain[0] == diverse[0] == "red"
        assert {"green", "blue"} & set(diverse) and not {"green", "blue"} & set(plain)

    @given(st.integers(1, 12), st.floats(0, 1), st.integers(1, 15), st.integers(0, 2**32 - 1))
    def test_equals_the_definition(self, rows: int, diversity: float, count: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        vectors = random.normal(size=(rows, 4))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        similarities = np.sort(random.uniform(-1, 1, rows))[::-1]
        chosen: list[int] = [0]
        while len(chosen) < min(count, rows):
            left = [index for index in range(rows) if index not in chosen]
            scores = [
                (1 - diversity) * similarities[one] - diversity * max(vectors[one] @ vectors[other] for other in chosen)
                for one in left
            ]
            chosen.append(left[int(np.argmax(scores))])
        assert maximal_marginal_relevance(similarities, vectors, diversity, count) == chosen


def test_a_request_without_pages_gets_no_cursor(harness: SearchHarness) -> None:
    add_shades(harness, 4)
    assert harness.run(replace(REQUEST, has_pages=False)).next_cursor is None
    assert harness.run(REQUEST).next_cursor is not None

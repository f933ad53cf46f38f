"""Contract of the queries over many rows: colors, field values and facet counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytest import MonkeyPatch

from lookalike.adapters.catalog import SqlCatalog, facets
from lookalike.domain.color import Lab
from lookalike.domain.errors import InvalidField
from lookalike.domain.facets import FACET_FIELDS, FieldValues
from lookalike.domain.filter import Value
from lookalike.domain.model import NewSegment, ProductDetails
from lookalike.domain.ports import Catalog
from tests.contracts.rows import MODEL, few_examples, garment, photo
from tests.fakes.catalog import FakeCatalog

LABELS = ("dress", "Dress", "dress ", "drèss", None)
COLORS: tuple[Lab | None, ...] = ((50.0, -20.5, 3.25), None, (0.0, 0.0, 0.0))


def styled(name: str, number: int, label: str | None = "top", color: Lab | None = None) -> NewSegment:
    return replace(garment(name, number), label=label, color=color)


@pytest.fixture
def row_ids(catalog: Catalog) -> list[int]:
    """Rows of the photos `a` with five garments and `b` with three. Photo `other` is of another embedder."""
    first = [styled("a", number, label) for number, label in enumerate(LABELS)]
    second = [styled("b", number, color=color) for number, color in enumerate(COLORS)]
    stored = [*catalog.add_photo(photo("a"), first, MODEL), *catalog.add_photo(photo("b"), second, MODEL)]
    catalog.add_photo(photo("other"), [styled("other", 0, "hat", (1.0, 2.0, 3.0))], "other-1")
    catalog.put_details(
        [
            ProductDetails("a", brand="Ost", rating=4.3, tags=["b", "a", "b"], season="summer"),
            ProductDetails("a_segment_1", brand="ost", tags=[], rating=4.3),
            ProductDetails("a_segment_2", tags=["é", "a"]),
            ProductDetails("b_segment_0", brand="Nord", size=["M"]),
            ProductDetails("unknown", brand="Unknown"),
        ]
    )
    return [segment.row_id for segment in stored]


def ids(*row_ids: int) -> NDArray[np.int64]:
    return np.array(row_ids, np.int64)


def test_colors_of_rows_with_a_color(catalog: Catalog, row_ids: list[int]) -> None:
    found, colors = catalog.colors(MODEL)
    assert found.tolist() == [row_ids[5], row_ids[7]]
    assert colors.tolist() == [[50.0, -20.5, 3.25], [0.0, 0.0, 0.0]]
    assert (found.dtype.name, colors.dtype.name) == ("int64", "float64")
    found, colors = catalog.colors(MODEL, ids(row_ids[7], row_ids[6], 10**9))
    assert (found.tolist(), colors.tolist()) == ([row_ids[7]], [[0.0, 0.0, 0.0]])
    assert catalog.colors("other-1")[1].tolist() == [[1.0, 2.0, 3.0]]


def test_colors_are_current_after_each_write(catalog: Catalog, row_ids: list[int]) -> None:
    def read(embedder: str | None = MODEL) -> list[list[float]]:
        return catalog.colors(embedder)[1].tolist()  # type: ignore[no-any-return]

    before = read()
    catalog.add_photo(photo("c"), [styled("c", 0, color=(7.0, 8.0, 9.0))], MODEL)
    assert read() == [*before, [7.0, 8.0, 9.0]]
    catalog.replace_segment(row_ids[7], replace(styled("b", 2), color=(4.0, 4.0, 4.0)), MODEL)
    assert read() == [before[0], [4.0, 4.0, 4.0], [7.0, 8.0, 9.0]]
    catalog.replace_segment(row_ids[7], replace(styled("b", 2), color=(4.0, 4.0, 4.0)), "other-1")
    assert read() == [before[0], [7.0, 8.0, 9.0]]
    catalog.delete_segment("b_segment_0")
    assert read() == [[7.0, 8.0, 9.0]]
    assert sorted(read(None)) == [[1.0, 2.0, 3.0], [4.0, 4.0, 4.0], [7.0, 8.0, 9.0]]


@pytest.mark.parametrize("wanted", [None, ids(), ids(10**9)], ids=str)
def test_colors_of_no_rows_have_their_shape(catalog: Catalog, wanted: NDArray[np.int64] | None) -> None:
    found, colors = catalog.colors("nothing-1", wanted)
    assert (found.shape, colors.shape) == ((0,), (0, 3))


def test_labels_and_photos_are_counted_exactly(catalog: Catalog, row_ids: list[int]) -> None:
    assert catalog.facet_counts(MODEL, ["photo", "label"]) == {
        "photo": [("a", 5), ("b", 3)],
        "label": [("top", 3), ("Dress", 1), ("dress", 1), ("dress ", 1), ("drèss", 1)],
    }
    assert catalog.facet_counts(MODEL, ["label"], limit=2) == {"label": [("top", 3), ("Dress", 1)]}


def test_product_fields_are_those_of_the_garment_or_else_of_its_photo(catalog: Catalog, row_ids: list[int]) -> None:
    counts = catalog.facet_counts(MODEL, ["brand", "tags", "rating", "season", "size", "url"])
    assert counts == {
        "brand": [("Ost", 3), ("Nord", 1), ("ost", 1)],
        "tags": [("a", 4), ("b", 3), ("é", 1)],
        "rating": [(4.3, 4)],
        "season": [("summer", 3)],
        "size": [("M", 1)],
        "url": [],
    }


def test_counts_are_restricted_to_rows(catalog: Catalog, row_ids: list[int]) -> None:
    wanted = ids(row_ids[7], row_ids[0], row_ids[1], 10**9)
    assert catalog.facet_counts(MODEL, ["label", "brand"], wanted) == {
        "label": [("Dress", 1), ("dress", 1), ("top", 1)],
        "brand": [("Ost", 1), ("ost", 1)],
    }
    assert catalog.facet_counts(MODEL, ["label", "tags"], ids()) == {"label": [], "tags": []}
    assert catalog.facet_counts("other-1", ["label"], wanted) == {"label": []}


def test_values_of_each_row(catalog: Catalog, row_ids: list[int]) -> None:
    values = catalog.field_values(MODEL, ["photo", "tags"], ids(row_ids[5], row_ids[2], row_ids[0]))
    assert [*values["photo"].pairs()] == [(row_ids[0], "a"), (row_ids[2], "a"), (row_ids[5], "b")]
    assert [*values["tags"].pairs()] == [(row_ids[0], "b"), (row_ids[0], "a"), (row_ids[2], "é"), (row_ids[2], "a")]


def test_secondary_vectors_count(catalog: Catalog, row_ids: list[int]) -> None:
    assert isinstance(catalog, FakeCatalog | SqlCatalog)
    catalog.add_vectors("other-1", {row_ids[7]: np.ones(3, np.float32), row_ids[0]: np.ones(3, np.float32)})
    assert catalog.colors("other-1")[1].tolist() == [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
    counts = catalog.facet_counts("other-1", ["label", "photo", "brand"])
    assert counts["label"] == [("dress", 1), ("hat", 1), ("top", 1)]
    assert counts["photo"] == [("a", 1), ("b", 1), ("other", 1)]
    assert counts["brand"] == [("Ost", 1)]
    catalog.delete_segment("b_segment_2")
    assert catalog.colors("other-1")[1].tolist() == [[1.0, 2.0, 3.0]]


def test_unknown_fields_are_refused(catalog: Catalog) -> None:
    for name in ("score", "image_id", "bust", "id; --"):
        with pytest.raises(InvalidField, match="Fields are: label, photo"):
            catalog.facet_counts(MODEL, ["label", name])
        with pytest.raises(InvalidField):
            catalog.field_values(MODEL, [name])


def test_many_row_ids_give_the_same_as_few(catalog: Catalog, row_ids: list[int], monkeypatch: MonkeyPatch) -> None:
    def read() -> tuple[object, ...]:
        wanted = ids(*row_ids[::2])
        values = catalog.field_values(MODEL, FACET_FIELDS, wanted)
        return (
            [array.tolist() for array in catalog.colors(MODEL, wanted)],
            {name: [*field.pairs()] for name, field in values.items()},
            catalog.facet_counts(MODEL, FACET_FIELDS, wanted),
        )

    few = read()
    monkeypatch.setattr(facets, "MAX_ROWS_BY_ID", 2)
    monkeypatch.setattr(facets, "ROWS_PER_TEXT", 2)
    assert read() == few
    # the second time, the colors are not read from the database
    assert read() == few


CELLS = st.lists(st.sampled_from(["a", "B", "b", "é", ""]), max_size=3)


@few_examples
@given(cells=st.lists(CELLS, max_size=12))
def test_values_are_encoded_without_loss(cells: Sequence[list[Value]]) -> None:
    distinct = [tuple(dict.fromkeys(cell)) for cell in cells]
    row_ids = np.arange(1, len(cells) + 1) * 3
    encoded = FieldValues.from_column(row_ids, distinct, lambda cell: cell)
    assert [*encoded.pairs()] == [
        (row_id, item) for row_id, cell in zip(row_ids.tolist(), distinct, strict=True) for item in cell
    ]
    expected = Counter(item for cell in distinct for item in cell)
    assert encoded.counts(3) == sorted(expected.items(), key=lambda pair: (-pair[1], pair[0]))[:3]

"""Full-text search, colors and field values of the catalog in memory."""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.facets import MAX_FACET_VALUES, FieldValues, check_facet_fields
from lookalike.domain.feed_columns import is_feed_column
from lookalike.domain.filter import NO_CONDITIONS, Filter, Value, is_of_feed, matches_filter
from lookalike.domain.model import ProductDetails, Segment
from lookalike.domain.words import MAX_FIELD_VALUES, VALUE_FIELDS, details_contain, field_values, fold
from tests.fakes.database import transaction
from tests.fakes.ledger import FakeLedger


class FakeFacets(FakeLedger):
    """Queries of the port `Catalog` about words, colors and field values."""

    def __init__(self) -> None:
        super().__init__()
        self._details: dict[str, ProductDetails] = {}

    def _segments_with_vector(self, embedder: str | None) -> list[Segment]:
        """Return the segments with a vector of the embedder, or all, ordered by row id."""
        raise NotImplementedError

    def _details_of(self, segment: Segment) -> ProductDetails | None:
        return self._details.get(segment.name) or self._details.get(segment.photo)

    @transaction
    def row_ids_with_text(self, embedder: str | None, text: str) -> NDArray[np.int64]:
        matching = []
        for segment in self._segments_with_vector(embedder):
            details = self._details_of(segment)
            if details and details_contain(details, text):
                matching.append(segment.row_id)
        return np.array(matching, np.int64)

    @transaction
    def has_text(self, text: str) -> bool:
        return any(details_contain(details, text) for details in self._details.values())

    @transaction
    def details_fields_with_value(self, phrase: str) -> list[tuple[str, str]]:
        stored = {pair for details in self._details.values() for pair in field_values(details, VALUE_FIELDS)}
        equal = [(name, value) for name, value in stored if fold(value) == fold(phrase)]
        return sorted(equal, key=lambda pair: (VALUE_FIELDS.index(pair[0]), pair[1]))[:MAX_FIELD_VALUES]

    @transaction
    def colors(
        self, embedder: str | None, row_ids: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        colors = {
            segment.row_id: segment.color
            for segment in self._restricted(embedder, row_ids)
            if segment.color is not None
        }
        return np.array([*colors], np.int64), np.array([*colors.values()], np.float64).reshape(-1, 3)

    @transaction
    def field_values(
        self,
        embedder: str | None,
        fields: Sequence[str],
        row_ids: NDArray[np.int64] | None = None,
        shown: Filter = NO_CONDITIONS,
    ) -> dict[str, FieldValues]:
        check_facet_fields(fields)
        segments = self._restricted(embedder, row_ids)
        ids = np.array([segment.row_id for segment in segments], np.int64)
        return {
            name: FieldValues.from_column(
                ids, [self._items(segment, name, shown) for segment in segments], lambda items: items
            )
            for name in fields
        }

    @transaction
    def facet_counts(
        self,
        embedder: str | None,
        fields: Sequence[str],
        row_ids: NDArray[np.int64] | None = None,
        limit: int = MAX_FACET_VALUES,
        shown: Filter = NO_CONDITIONS,
    ) -> dict[str, list[tuple[Value, int]]]:
        values = self.field_values(embedder, fields, row_ids, shown)
        return {name: field.counts(limit) for name, field in values.items()}

    def _restricted(self, embedder: str | None, row_ids: NDArray[np.int64] | None) -> list[Segment]:
        wanted = None if row_ids is None else set(row_ids.tolist())
        return [one for one in self._segments_with_vector(embedder) if wanted is None or one.row_id in wanted]

    def _items(self, segment: Segment, name: str, shown: Filter) -> tuple[Value, ...]:
        if is_of_feed(name):
            products = [values for values in self._shown_values(segment.name) if matches_filter(shown, values)]
            return tuple(dict.fromkeys(item for values in products for item in facet_items(name, values.get(name))))
        details = self._details_of(segment)
        values = (asdict(details) if details else {}) | {"label": segment.label, "photo": segment.photo}
        return tuple(dict.fromkeys(facet_items(name, values.get(name))))

    def _shown_values(self, garment: str) -> list[dict[str, object]]:
        """Return the values of fields of the products that a garment shows."""
        raise NotImplementedError


def facet_items(name: str, value: Any) -> list[Value]:
    """Return the values of a field that facets count."""
    if is_feed_column(name):
        return [item for item in value or () if isinstance(item, str)]
    items = value if isinstance(value, list) else [value]
    return [float(item) if isinstance(item, Decimal) else item for item in items if item is not None]

"""The values by which results are grouped."""

from collections.abc import Mapping, Sequence

import numpy as np

from lookalike.domain.facets import FieldValues
from lookalike.domain.filter import Filter, Value, feed_conditions
from lookalike.domain.ports import Catalog
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases.search.ranking import GroupKey

PRODUCT = "product"
"""Groups by the product of a feed, or by the product that the details describe."""
DESCRIBED_FIELDS = ("url", "store_name", "brand", "product_name")
"""Product details that identify a product which is in no feed."""


def load_group_keys(catalog: Catalog, field: str, scope: Filter, row_ids: Sequence[int]) -> dict[int, GroupKey]:
    """Return the value of the field for each of the rows that exist, `None` for rows without a value.

    Only products of feeds that satisfy the scope count.
    """
    with stage(Stage.ROWS):
        names = catalog.segment_names(row_ids)
        fields = DESCRIBED_FIELDS if field == PRODUCT else (field,)
        values = catalog.field_values(None, fields, np.array(sorted(names), np.int64))
        if field != PRODUCT:
            return dict.fromkeys(names) | _value_of_row(values[field])
        products = catalog.product_ids(list(names.values()), feed_conditions(scope))
        described = {name: _value_of_row(column) for name, column in values.items()}
        return {
            row_id: products.get(name)
            or described_product({field: column.get(row_id) for field, column in described.items()})
            for row_id, name in names.items()
        }


def _value_of_row(column: FieldValues) -> dict[int, Value]:
    """Return the value of each row that has one. An empty text is no value."""
    return {row_id: value for row_id, value in column.pairs() if value != ""}


def described_product(details: Mapping[str, Value | None]) -> str | None:
    """Return what identifies a product that is in no feed: its link, or its name with those of the brand and the store."""
    url, *names = (details[field] for field in DESCRIBED_FIELDS)
    if url or not names[-1]:
        return str(url) if url else None
    return " / ".join(str(name) for name in names if name)

"""The values by which results are grouped."""

from collections.abc import Mapping, Sequence

import numpy as np

from lookalike.domain.filter import Filter, Value, feed_conditions
from lookalike.domain.ports import Catalog
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases.search.ranking import GroupKey
from lookalike.usecases.search.request import PRODUCT_GROUP

DESCRIPTION_FIELDS = ("url", "store_name", "brand", "product_name")
"""Product details that identify a product which is in no feed."""
ROWS_PER_QUERY = 4096
"""Values of more rows are read in several queries. The catalog reads all of its rows for one that is larger."""


def load_group_keys(catalog: Catalog, field: str, scope: Filter, row_ids: Sequence[int]) -> dict[int, GroupKey]:
    """Return the value of a field of `GROUP_FIELDS` for each of the rows that exist, `None` for rows without a value.

    Only products of feeds that satisfy the scope count.
    """
    with stage(Stage.ROWS):
        names = catalog.segment_names(row_ids)
        if field != PRODUCT_GROUP:
            return dict.fromkeys(names) | _values_by_row(catalog, [field], sorted(names))[field]
        products = catalog.product_ids(list(names.values()), feed_conditions(scope))
        columns = _values_by_row(catalog, DESCRIPTION_FIELDS, sorted(names))
        return {
            row_id: products.get(name)
            or described_product({column: values.get(row_id) for column, values in columns.items()})
            for row_id, name in names.items()
        }


def _values_by_row(catalog: Catalog, fields: Sequence[str], row_ids: Sequence[int]) -> dict[str, dict[int, Value]]:
    """Return the values of each field by row id. An empty text is no value."""
    values: dict[str, dict[int, Value]] = {field: {} for field in fields}
    for start in range(0, len(row_ids), ROWS_PER_QUERY):
        batch = np.array(row_ids[start : start + ROWS_PER_QUERY], np.int64)
        for field, column in catalog.field_values(None, fields, batch).items():
            values[field] |= {row_id: value for row_id, value in column.pairs() if value != ""}
    return values


def described_product(details: Mapping[str, Value | None]) -> str | None:
    """Return what identifies a product that is in no feed: its link, or its name with those of brand and store."""
    if details["url"] or not details["product_name"]:
        return str(details["url"]) if details["url"] else None
    names = (details["store_name"], details["brand"], details["product_name"])
    return " / ".join(str(name) for name in names if name)

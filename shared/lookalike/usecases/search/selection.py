"""Selects the rows that satisfy the conditions of a request: filters, words and colors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.color import ciede2000
from lookalike.domain.filter import Filter
from lookalike.domain.ports import Catalog
from lookalike.usecases.search.request import ColorCondition

RowIds = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions that a row must satisfy: all filters, all texts, and one color of each list of alternatives."""

    filters: Sequence[Filter] = ()
    texts: Sequence[str] = ()
    """Words that all occur in the product details of the row."""
    colors: Sequence[Sequence[ColorCondition]] = ()

    def __bool__(self) -> bool:
        return bool(self.filters or self.texts or self.colors)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The rows that satisfy the conditions."""

    row_ids: RowIds | None
    """Ids (n,), ascending. `None` if there are no conditions, so that all rows satisfy them."""
    color_distances: NDArray[np.float64] | None = None
    """CIEDE2000 differences (n,) to the nearest color of the first color condition, if there is one."""

    def without(self, row_ids: RowIds) -> "Selection":
        """Return the selection without these rows. Only if `row_ids` is not `None`."""
        assert self.row_ids is not None
        is_kept = ~np.isin(self.row_ids, row_ids)
        distances = None if self.color_distances is None else self.color_distances[is_kept]
        return Selection(self.row_ids[is_kept], distances)

    def ordered_ids(self) -> RowIds:
        """Return the ids in the order of the color distance, or of the id if there is none."""
        assert self.row_ids is not None
        return (
            self.row_ids
            if self.color_distances is None
            else self.row_ids[np.argsort(self.color_distances, kind="stable")]
        )

    def color_distance(self, row_id: int) -> float | None:
        """Return the color distance of a selected row."""
        if self.color_distances is None or self.row_ids is None:
            return None
        return float(self.color_distances[np.searchsorted(self.row_ids, row_id)])


def select_rows(catalog: Catalog, embedder: str | None, conditions: Conditions) -> Selection:
    """Return the rows with a vector of the embedder, or all rows without one, that satisfy all conditions."""
    if not conditions:
        return Selection(None)
    sets = [catalog.matching_row_ids(embedder, wanted) for wanted in conditions.filters]
    sets += [catalog.row_ids_with_text(embedder, text) for text in conditions.texts]
    row_ids = reduce(np.intersect1d, sets) if sets else None
    first: NDArray[np.float64] | None = None
    for alternatives in conditions.colors:
        row_ids, distances, is_near = rows_near_colors(catalog, embedder, alternatives, row_ids)
        first = distances if first is None else first[is_near]
    return Selection(row_ids, first)


def rows_near_colors(
    catalog: Catalog, embedder: str | None, alternatives: Sequence[ColorCondition], row_ids: RowIds | None
) -> tuple[RowIds, NDArray[np.float64], NDArray[np.bool_]]:
    """Return the rows near one of the colors, and the smallest distance of each to a color that it is near.

    The last item tells for each of `row_ids` whether it is among them; it is meaningful only if they all have a color.
    """
    ids, labs = catalog.colors(embedder, row_ids)
    distances = np.stack([ciede2000(labs, one.near) for one in alternatives])
    is_within = distances <= np.array([[one.within] for one in alternatives])
    smallest = np.where(is_within, distances, np.inf).min(0)
    is_near = np.isfinite(smallest)
    return ids[is_near], smallest[is_near], is_near

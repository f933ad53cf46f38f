"""Facets: counts the values of fields over all rows that satisfy the conditions of a request."""

from collections.abc import Mapping, Sequence

from lookalike.domain.color import count_color_names
from lookalike.domain.facets import most_frequent
from lookalike.domain.filter import NO_CONDITIONS, Filter, feed_conditions
from lookalike.domain.ports import Catalog
from lookalike.domain.stage_times import Stage, stage
from lookalike.usecases.search.result import FacetValue
from lookalike.usecases.search.selection import Selection

COLOR = "color"
"""Facet of the basic color nearest to the mean color."""


def count_facets(
    catalog: Catalog,
    embedder: str | None,
    fields: Sequence[str],
    selection: Selection,
    scope: Filter = NO_CONDITIONS,
) -> Mapping[str, Sequence[FacetValue]]:
    """Return the most frequent values of each field. Values with equal counts are sorted.

    Without an embedder, all rows are counted. Fields of feeds are counted for products that satisfy the scope only.
    """
    if not fields:
        return {}
    with stage(Stage.ROWS):
        stored = [name for name in fields if name != COLOR]
        shown = feed_conditions(scope)
        counted = catalog.facet_counts(embedder, stored, selection.row_ids, shown=shown) if stored else {}
        facets = {name: [FacetValue(*pair) for pair in pairs] for name, pairs in counted.items()}
        if COLOR in fields:
            facets[COLOR] = count_colors(catalog, embedder, selection)
    return {name: facets[name] for name in fields}


def count_colors(catalog: Catalog, embedder: str | None, selection: Selection) -> list[FacetValue]:
    """Return the number of rows by the name of the nearest basic color."""
    _, labs = catalog.colors(embedder, selection.row_ids)
    return [FacetValue(*pair) for pair in most_frequent(count_color_names(labs).items())]

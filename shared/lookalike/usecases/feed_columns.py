"""Checks the names of other columns of feeds, which no schema knows."""

from collections.abc import Iterable, Sequence

from lookalike.domain.errors import InvalidField
from lookalike.domain.feed_columns import PREFIX, column_of, is_feed_column
from lookalike.domain.filter import Filter, feed_conditions
from lookalike.domain.ports import Catalog

MAX_LISTED = 50
"""Names that an error lists."""


def check_feed_columns(catalog: Catalog, names: Iterable[str], scope: Filter, field: str) -> None:
    """Raise `InvalidField` if a name with the prefix is a column that no product has. `field` is that of the request.

    For callers with a scope, only products that they may see count, and the message names no columns.
    """
    wanted = sorted({column_of(name) for name in names if is_feed_column(name)})
    if not wanted:
        return
    known = _visible_columns(catalog, wanted, scope) if scope else catalog.feed_columns(wanted)
    for name in wanted:
        if name not in known:
            raise InvalidField(f"{field}: {_message(catalog, name, is_restricted=bool(scope))}", field=field)


def _visible_columns(catalog: Catalog, names: Sequence[str], scope: Filter) -> set[str]:
    visible, fields = catalog.matching_row_ids(None, scope), [f"{PREFIX}{name}" for name in names]
    values = catalog.field_values(None, fields, visible, feed_conditions(scope))
    return {name for name in names if len(values[f"{PREFIX}{name}"].row_ids)}


def _message(catalog: Catalog, name: str, is_restricted: bool) -> str:
    problem = f"no product has the column {name[:100]!r}"
    if is_restricted:
        return problem
    names = catalog.feed_columns(limit=MAX_LISTED + 1)
    if not names:
        return f"{problem}: no feed has other columns than those of the specification"
    more = ", …" if len(names) > MAX_LISTED else ""
    return f"{problem}; columns are {', '.join(names[:MAX_LISTED])}{more}"

"""Filters in requests: the names of fields, the values that they are compared with, and their meaning.

Fields and values are the same in the JSON field `filter` and in query parameters.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from lookalike.domain.facets import FACET_FIELDS
from lookalike.domain.feed_columns import MAX_NAME, PREFIX, is_feed_column
from lookalike.domain.filter import FILTERABLE_FIELDS, Condition, Filter
from lookalike.usecases.search.facets import COLOR

CREATED = "created"
"""The field whose values are times."""
COLUMN_SCHEMA = {"type": "string", "pattern": rf"^{re.escape(PREFIX)}[^\s]", "maxLength": len(PREFIX) + MAX_NAME}
"""JSON Schema of the names of other columns of feeds."""
DAY = timedelta(days=1)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
Number = Annotated[float, Field(allow_inf_nan=False)]


def _check_filter_field(name: str) -> str:
    return check_field(name, FILTERABLE_FIELDS, "filter by")


def check_field(name: str, known: tuple[str, ...], purpose: str) -> str:
    """Return the name of a field, if it is one of these or another column of feeds. Raises `ValueError`."""
    if name in known or is_feed_column(name):
        return name
    fields = f"{', '.join(known)}, and {PREFIX}COLUMN for other columns of product feeds"
    raise ValueError(f"there is no field {name[:100]!r} to {purpose}; fields are {fields}")


def field_schema(known: tuple[str, ...]) -> dict[str, Any]:
    """Return the JSON Schema of the names that `check_field` accepts."""
    return {"anyOf": [{"enum": [*known]}, COLUMN_SCHEMA]}


FilterField = Annotated[str, AfterValidator(_check_filter_field)]
FILTER_NAMES: dict[str, Any] = {"propertyNames": field_schema(FILTERABLE_FIELDS)}
"""JSON Schema of the names in a filter."""


class Range(BaseModel):
    """Values from `min` to `max`, both included. Either may be omitted. Numbers, and dates or times for `created`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: Number | str | None = None
    max: Number | str | None = None

    @model_validator(mode="after")
    def _require_a_bound(self) -> "Range":
        if self.min is None and self.max is None:
            raise ValueError("a range must have min, max or both")
        return self


FilterValue = str | Number | Annotated[list[str | Number], Field(min_length=1, max_length=100)] | Range


def check_values(values: Mapping[str, FilterValue]) -> None:
    """Raise `ValueError` for a value that its field cannot be compared with."""
    for name, value in values.items():
        to_condition(name, value)


def to_conditions(values: Mapping[str, FilterValue]) -> Filter:
    """Return a filter as conditions of the domain. Raises `ValueError` as `check_values`."""
    return {name: to_condition(name, value) for name, value in values.items()}


def to_condition(name: str, value: FilterValue) -> Condition:
    """Return the condition on one field. Raises `ValueError`."""
    if name == CREATED:
        return _time_condition(value)
    if isinstance(value, Range):
        if isinstance(value.min, str) or isinstance(value.max, str):
            raise ValueError(f"the range of {name} must have numbers")
        return Condition((), value.min, value.max)
    return Condition(tuple(value) if isinstance(value, list) else (value,))


def _time_condition(value: FilterValue) -> Condition:
    if isinstance(value, str):
        value = Range(min=value, max=value)
    if not isinstance(value, Range):
        raise ValueError(f"{CREATED} must be a day, such as 2026-11-25, or a range of days or times")
    return Condition((), _seconds(value.min, is_end=False), _seconds(value.max, is_end=True))


def _seconds(text: str | float | None, is_end: bool) -> float | None:
    """Return a time in seconds since 1970. A day is its beginning in UTC, or its last microsecond as an end."""
    if text is None:
        return None
    # the parsers also raise ValueError for days such as 2026-02-30, with a message that does not name the field
    with suppress(ValueError):
        if isinstance(text, str) and _DATE.fullmatch(text):
            moment = datetime.combine(date.fromisoformat(text), time.min, UTC)
            return moment.timestamp() + (DAY - timedelta(microseconds=1)).total_seconds() * is_end
        if isinstance(text, str) and _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).timestamp()
    raise ValueError(
        f"{CREATED} must be a day, such as 2026-11-25, or a time such as 2026-11-25T11:10:33Z: {text!r:.50}"
    )


def _check_facet(value: Any) -> Any:
    return check_field(value, COUNTABLE_FIELDS, "count") if isinstance(value, str) else value


COUNTABLE_FIELDS = (*FACET_FIELDS, COLOR)
"""Fields whose values can be counted, besides other columns of feeds."""
FacetField = Annotated[str, BeforeValidator(_check_facet), WithJsonSchema(field_schema(COUNTABLE_FIELDS))]

"""Columns of feeds that are kept as they are, and how filters compare their values.

Each of them is the field `feed.NAME`. Its value is text. A text that is a JSON list has the items of the list as its
values. A condition with text compares the text. A condition with a number or a range compares values that are decimal
numbers as a whole, exactly: 42 equals the texts `42`, `42.0` and `042`, and no number equals `42 cm`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

PREFIX = "feed."
MAX_NAME = 255
"""Characters of a column's name."""
MAX_VALUE = 16_383
"""Characters of a value that filters compare. Longer ones are kept, but no filter and no facet knows them."""
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
"""NUL, which not every database stores, and surrogates, which are half a character."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)


def is_feed_column(field: str) -> bool:
    """Return whether a field is a column of feeds."""
    return field.startswith(PREFIX) and field != PREFIX and len(field) <= len(PREFIX) + MAX_NAME


def column_of(field: str) -> str:
    """Return the name of the column that a field with the prefix names."""
    return field.removeprefix(PREFIX)


def column_values(columns: Mapping[str, str]) -> Iterator[tuple[str, int, str]]:
    """Yield the values that can be compared, with the name of their column and their number in it."""
    for name, text in columns.items():
        if is_feed_column(PREFIX + name) and name == name.strip():
            values = [value for value in dict.fromkeys(list_items(text)) if _can_be_compared(value)]
            yield from ((name, position, value) for position, value in enumerate(values))


def _can_be_compared(value: str) -> bool:
    return len(value) <= MAX_VALUE and not _NOT_TEXT.search(value)


def list_items(text: str) -> list[str]:
    """Return the items of a JSON list of text and numbers, and other text as the only item."""
    if not text.lstrip().startswith("["):
        return [text]
    try:
        items = json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return [text]
    return items if all(isinstance(item, str) for item in items) else [text]


def comparable(text: str) -> tuple[str | Decimal, ...]:
    """Return a value as conditions compare it: the text, and the number that it is, if it is one."""
    return (text, Decimal(text)) if _NUMBER.fullmatch(text) else (text,)

"""JSON Lines: one object per line, with the specification's columns or those of the original's product details."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from lookalike.adapters.product_feeds.columns import PRODUCT_COLUMNS, REPEATED_COLUMNS, column_name
from lookalike.adapters.product_feeds.limits import InvalidValue, quote
from lookalike.adapters.product_feeds.products import known_id, read_line, with_fallbacks
from lookalike.adapters.product_feeds.text_lines import TextLines
from lookalike.domain.product import FeedLine, InvalidFeedLine

PRICES = frozenset({"price", "sale_price"})


def parse(lines: TextLines, currency: str | None) -> Iterator[FeedLine | InvalidFeedLine]:
    """Yield one result per line. Blank lines are skipped."""
    while line := lines.next():
        if line.problem:
            yield InvalidFeedLine(line.number, line.problem)
        elif line.text.strip():
            yield _read(line.number, line.text, currency)


def _read(number: int, text: str, currency: str | None) -> FeedLine | InvalidFeedLine:
    try:
        # numbers keep their digits: prices must be exact
        row = json.loads(text, parse_float=Decimal, parse_constant=_refuse, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        return InvalidFeedLine(number, f"not valid JSON: {error}")
    if not isinstance(row, dict):
        return InvalidFeedLine(number, "not a JSON object")
    try:
        values = {name: _values(column_name(name), value) for name, value in row.items()}
    except (InvalidValue, RecursionError) as error:
        found = row.get("id", row.get("image_id"))
        return InvalidFeedLine(number, str(error), known_id([found]) if isinstance(found, str) else None)
    return read_line(number, with_fallbacks(values, list(row)), currency)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("an object has a field twice")
    return row


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _values(column: str, value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and column in REPEATED_COLUMNS:
        return [_scalar(column, one) for one in value if one is not None]
    if isinstance(value, dict) and column in PRICES:
        return [_price(column, value)]
    if column in PRODUCT_COLUMNS:
        return [_scalar(column, value)]
    return [_json(value)]


def _scalar(column: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidValue(f"{column}: must be text or a number")
    return f"{value:f}" if isinstance(value, Decimal) and abs(value.adjusted()) < 100 else str(value)


def _price(column: str, value: dict[str, Any]) -> str:
    """The price of an object with `value` and `currency`, as Google's APIs write it."""
    amount, currency = value.get("value"), value.get("currency")
    if not isinstance(currency, str) or amount is None:
        raise InvalidValue(f"{column}: {quote(_json(value))} must have value and currency")
    return f"{_scalar(column, amount)} {currency}"


def _json(value: Any) -> str:
    """The value as text: numbers as in the feed, lists and objects as JSON."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=_number)


def _number(value: Decimal) -> float | str:
    # larger numbers than a float has are written as text
    return float(value) if abs(value.adjusted()) < 300 else str(value)

"""Products from the values of a line, the same for all formats."""

import csv
import json
import re
from collections.abc import Collection, Mapping, Sequence

from lookalike.adapters.product_feeds.columns import (
    FALLBACKS,
    PRODUCT_COLUMNS,
    REPEATED_COLUMNS,
    TEXT_COLUMNS,
    column_name,
)
from lookalike.adapters.product_feeds.html_text import to_plain_text
from lookalike.adapters.product_feeds.limits import (
    MAX_ADDRESS_LENGTH,
    MAX_COLUMNS,
    MAX_LENGTHS,
    MAX_NAME_LENGTH,
    MAX_PICTURES,
    MAX_TEXT_LENGTH,
    InvalidValue,
    quote,
)
from lookalike.adapters.product_feeds.money import parse_currency, parse_price
from lookalike.domain.errors import InvalidField
from lookalike.domain.product import FeedLine, InvalidFeedLine, Money, Product
from lookalike.domain.product_edits import FIXED_COLUMNS, FieldValue, field_value

Values = Mapping[str, Sequence[str]]
"""Values by the name of their column. Most columns have one value."""

MAX_DESCRIPTION_SOURCE = 200_000
"""Characters of a description with its markup."""
AVAILABILITIES = {
    "instock": "in_stock",
    "outofstock": "out_of_stock",
    "soldout": "out_of_stock",
    "preorder": "preorder",
    "backorder": "backorder",
}
"""Values of the specification by their letters. Those of schema.org have the same letters."""

_PICTURE = re.compile(r"(?:https?|gs)://[^\s/?#\x00-\x1f\x7f]+[^\s\x00-\x1f\x7f]*", re.IGNORECASE)
_PAGE = re.compile(r"https?://[^\s/?#\x00-\x1f\x7f]+[^\s\x00-\x1f\x7f]*", re.IGNORECASE)
_NEXT_ADDRESS = re.compile(r"\s*,\s*(?=[a-z]{2,5}://)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
"""NUL, which databases refuse, and surrogates, which are half a character."""


def read_line(number: int, values: Values, currency: str | None) -> FeedLine | InvalidFeedLine:
    """The product of a line. `currency` is that of prices without one."""
    named = _by_column(values)
    try:
        return FeedLine(number, _build(named, currency))
    except InvalidValue as error:
        return InvalidFeedLine(number, str(error), known_id(named.get("id", ())))


def read_columns(columns: Mapping[str, Sequence[str]], currency: str | None) -> dict[str, FieldValue]:
    """The values that a line with these columns would have, by the names of the specification.

    Columns without text have none. `currency` is that of prices without one. Raises `InvalidField`, also for columns
    that cannot be edited.
    """
    named = {column_name(name): list(texts) for name, texts in columns.items()}
    try:
        if len(named) < len(columns):
            raise InvalidValue("a column is given under two names")
        if fixed := sorted(FIXED_COLUMNS & named.keys()):
            raise InvalidValue(f"{fixed[0]}: cannot be edited; change it in the feed")
        _check(named)
        product = _build({"id": ["-"], **_by_column(named)}, currency)
    except InvalidValue as error:
        raise InvalidField(f"columns: {error}", field="columns") from error
    return {name: field_value(product, name) for name in named}


def known_id(values: Sequence[str]) -> str | None:
    """The id of a product that has another problem."""
    found = values[0].strip() if len(values) == 1 else ""
    return found if 0 < len(found) <= MAX_LENGTHS["id"] and not _NOT_TEXT.search(found) else None


def with_fallbacks(values: Mapping[str, list[str]], columns: Collection[str]) -> dict[str, list[str]]:
    """The values with columns of the original system in place of columns of the specification that a feed lacks.

    `columns` are the names of all columns that the line could have.
    """
    found = dict(values)
    present = set(map(column_name, columns))
    for name, other in FALLBACKS.items():
        if name not in present and other in found:
            # `image_id` also stays, since it names a stored photo
            found[name] = found[other] if name == "id" else found.pop(other)
    return found


def _by_column(values: Values) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for name, texts in values.items():
        if filled := [text for text in texts if text.strip()]:
            named.setdefault(column_name(name), []).extend(filled)
    return named


def _build(values: Mapping[str, list[str]], currency: str | None) -> Product:
    _check(values)
    currency = parse_currency(values.get("currency", [""])[0]) or currency
    return Product(
        id=_id(values),
        description=_description(values),
        link=_link(values),
        pictures=_pictures(values),
        price=_price("price", values, currency),
        sale_price=_price("sale_price", values, currency),
        availability=normalize_availability(_text("availability", values)),
        size=_sizes(values.get("size", [])),
        extra={name: _joined(texts) for name, texts in values.items() if name not in PRODUCT_COLUMNS},
        **{name: _text(name, values) for name in TEXT_COLUMNS},
    )


def _check(values: Mapping[str, list[str]]) -> None:
    """Raise `InvalidValue` for problems that any column can have."""
    if len(values) > MAX_COLUMNS:
        raise InvalidValue(f"has {len(values)} columns; the limit is {MAX_COLUMNS}")
    for name, texts in values.items():
        if not 0 < len(name) <= MAX_NAME_LENGTH:
            raise InvalidValue(f"a column's name must have 1 to {MAX_NAME_LENGTH} characters: {quote(name)}")
        if _NOT_TEXT.search(name) or any(map(_NOT_TEXT.search, texts)):
            raise InvalidValue(f"{_NOT_TEXT.sub('?', name)}: contains NUL or is not valid Unicode")
        if len(texts) > 1 and name in PRODUCT_COLUMNS and name not in REPEATED_COLUMNS:
            raise InvalidValue(f"{name}: has {len(texts)} values; only one is possible")


def _text(name: str, values: Mapping[str, list[str]]) -> str | None:
    if name not in values:
        return None
    text = values[name][0].strip()
    limit = MAX_LENGTHS.get(name, MAX_TEXT_LENGTH)
    if len(text) > limit:
        raise InvalidValue(f"{name}: has {len(text):,} characters; the limit is {limit:,}")
    return text


def _id(values: Mapping[str, list[str]]) -> str:
    found = _text("id", values)
    if found is None:
        raise InvalidValue("id: is missing")
    if _CONTROL.search(found):
        raise InvalidValue("id: contains control characters")
    return found


def _description(values: Mapping[str, list[str]]) -> str | None:
    source = values.get("description", [""])[0]
    if len(source) > MAX_DESCRIPTION_SOURCE:
        raise InvalidValue(f"description: has {len(source):,} characters; the limit is {MAX_DESCRIPTION_SOURCE:,}")
    plain = to_plain_text(source)
    return _text("description", {"description": [plain]}) if plain else None


def _link(values: Mapping[str, list[str]]) -> str | None:
    link = _text("link", values)
    if link is None:
        return None
    link = link.replace(" ", "%20")
    if len(link) > MAX_LENGTHS["link"] or not _PAGE.fullmatch(link):
        raise InvalidValue(f"link: {quote(link)} is not an http or https address")
    return link


def _pictures(values: Mapping[str, list[str]]) -> tuple[str, ...]:
    named = [("image_link", text) for text in values.get("image_link", [])]
    for text in values.get("additional_image_link", []):
        named += [("additional_image_link", address) for address in _split_addresses(text)]
    pictures = tuple(dict.fromkeys(_picture(name, text) for name, text in named))
    if len(pictures) > MAX_PICTURES:
        raise InvalidValue(
            f"additional_image_link: the product has {len(pictures)} pictures; the limit is {MAX_PICTURES}"
        )
    return pictures


def _picture(name: str, text: str) -> str:
    address = text.strip().replace(" ", "%20")
    if len(address) > MAX_ADDRESS_LENGTH:
        raise InvalidValue(f"{name}: an address has {len(address):,} characters; the limit is {MAX_ADDRESS_LENGTH:,}")
    if not _PICTURE.fullmatch(address):
        raise InvalidValue(f"{name}: {quote(address)} is not an http, https or gs address")
    return address


def _split_addresses(text: str) -> list[str]:
    """Split a list of addresses at its commas. Addresses with commas may be quoted, as the specification tells."""
    text = text.strip()
    if not text.startswith('"') and not re.search(r',\s*"', text):
        # a comma that no address follows is part of an address
        return [part for part in _NEXT_ADDRESS.split(text.rstrip(", ")) if part]
    try:
        parts = next(csv.reader([text], skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise InvalidValue(f"additional_image_link: {error}") from error
    return [part for part in parts if part.strip()]


def _price(name: str, values: Mapping[str, list[str]], currency: str | None) -> Money | None:
    return parse_price(name, values[name][0], currency) if name in values else None


def normalize_availability(text: str | None) -> str | None:
    """The specification's value for an availability that is recognized, else the text."""
    if text is None:
        return None
    letters = re.sub(r"^https?://schema\.org/|[\s_-]+", "", text.lower())
    return AVAILABILITIES.get(letters, text)


def _sizes(values: list[str]) -> tuple[str, ...]:
    """One value may be a JSON list, or a list separated by semicolons. Commas are not: they are in sizes like `39,5`."""
    sizes = _split_sizes(values[0]) if len(values) == 1 else values
    found = tuple(size.strip() for size in sizes if size.strip())
    if any(len(size) > MAX_TEXT_LENGTH for size in found):
        raise InvalidValue(f"size: has a value with more than {MAX_TEXT_LENGTH:,} characters")
    return found


def _split_sizes(text: str) -> list[str]:
    if text.strip().startswith("["):
        try:
            sizes = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        if all(isinstance(size, str) for size in sizes):
            if any(map(_NOT_TEXT.search, sizes)):
                raise InvalidValue("size: contains NUL or is not valid Unicode")
            return list(sizes)
        return [text]
    return text.split(";")


def _joined(texts: list[str]) -> str:
    """Values of a repeated column, as a JSON list."""
    return texts[0] if len(texts) == 1 else json.dumps(texts, ensure_ascii=False)

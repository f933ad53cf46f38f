"""Shopify's product CSV, with the column names of before and since 2025.

The lines of a product follow one another and have the same handle. Its first line has the title and all that the
variants share. A line can have a variant, a picture, or both. The file does not name the currency.
"""

from collections.abc import Iterable, Iterator, Mapping

from lookalike.adapters.product_feeds.columns import OTHER_MERCHANT_COLUMNS, PRODUCT_COLUMNS, column_name
from lookalike.adapters.product_feeds.groups import Group, group_rows
from lookalike.adapters.product_feeds.limits import InvalidValue, quote
from lookalike.adapters.product_feeds.money import parse_price
from lookalike.adapters.product_feeds.products import known_id, read_line
from lookalike.adapters.product_feeds.tables import Row, read_header, read_rows
from lookalike.adapters.product_feeds.text_lines import TextLines
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine

HANDLE, TITLE, STATUS, PUBLISHED, SKU = "handle", "title", "status", "published", "variant sku"
PRICE, COMPARE_AT, QUANTITY = "variant price", "variant compare at price", "variant inventory qty"
TRACKER, POLICY = "variant inventory tracker", "variant inventory policy"
IMAGE, POSITION, VARIANT_IMAGE = "image src", "image position", "variant image"
OPTIONS = (1, 2, 3)
NEW_NAMES = {
    "url handle": HANDLE,
    "description": "body (html)",
    "published on online store": PUBLISHED,
    "sku": SKU,
    "price": PRICE,
    "compare-at price": COMPARE_AT,
    "inventory tracker": TRACKER,
    "inventory quantity": QUANTITY,
    "continue selling when out of stock": POLICY,
    "product image url": IMAGE,
    "variant image url": VARIANT_IMAGE,
    "google shopping / product category": "google shopping / google product category",
}
"""Columns of the newer template by their lower-case names, with their older names."""
PRODUCT_FIELDS = {
    "title": TITLE,
    "description": "body (html)",
    "brand": "vendor",
    "product_type": "type",
    "google_product_category": "google shopping / google product category",
    "gender": "google shopping / gender",
    "age_group": "google shopping / age group",
}
"""Fields that all variants share."""
OPTION_FIELDS = {"color": "color", "colour": "color", "size": "size", "material": "material", "pattern": "pattern"}
"""Options that are a field of a product, by their lower-case name."""
LINE_PREFIXES = ("variant ", "option", "image ", "barcode", "weight", "unit price", "cost per item", "tax code")
"""Columns that tell about the variant or picture of their own line only, by the beginning of their lower-case name."""
USED = {
    *(HANDLE, STATUS, PUBLISHED, SKU, PRICE, COMPARE_AT, QUANTITY, TRACKER, POLICY, IMAGE, POSITION, VARIANT_IMAGE),
    *PRODUCT_FIELDS.values(),
}


def is_header(names: list[str]) -> bool:
    """Whether the columns are those of this format."""
    found = set(map(_name, names))
    return {HANDLE, TITLE} <= found and bool(found & {"body (html)", PRICE, IMAGE, "option1 name", "vendor"})


def parse(lines: TextLines, delimiter: str, currency: str | None) -> Iterator[FeedLine | InvalidFeedLine]:
    """Yield one result per variant, and one per line that cannot be used.

    Lines with a picture only belong to the variants of their product. Raises `BadRequest` if the columns are unusable
    or if there are prices and no currency.
    """
    names = read_header(lines, delimiter)
    columns = [_name(name) if _is_used(_name(name)) else name for name in names]
    if missing := {HANDLE, TITLE} - set(columns):
        raise BadRequest(f"The Shopify feed has no column {', '.join(sorted(missing))}")
    if PRICE in columns and not currency:
        raise BadRequest("Shopify's product CSV does not name the currency of its prices; give a currency, such as EUR")
    rows = read_rows(lines, delimiter, columns)
    for group in group_rows(rows if TRACKER in columns else map(_tracked, rows), HANDLE):
        if isinstance(group, InvalidFeedLine):
            yield group
        else:
            yield from _read_group(group, currency)


def _name(name: str) -> str:
    lower = " ".join(name.lower().split())
    return NEW_NAMES.get(lower, lower)


def _is_used(name: str) -> bool:
    return name in USED or name in {f"option{number} {part}" for number in OPTIONS for part in ("name", "value")}


def _read_group(group: Group, currency: str | None) -> Iterator[FeedLine | InvalidFeedLine]:
    if problem := _group_problem(group):
        for row in group.rows:
            yield InvalidFeedLine(row.number, problem, known_id([_sku(row)]))
        return
    variants = [row for row in group.rows if _is_variant(row)] or group.rows[:1]
    skus = [_sku(row) for row in variants]
    for row, sku in zip(variants, skus, strict=True):
        if sku and skus.count(sku) > 1:
            yield InvalidFeedLine(row.number, f"Variant SKU: {quote(sku)} belongs to several variants", sku)
        else:
            yield read_line(row.number, _values(group, row, variants, currency), currency)


def _group_problem(group: Group) -> str | None:
    """The reason why no line of a product can be used."""
    first = group.rows[0]
    if not first.text(TITLE):
        return f"Title: is missing on the first line of the product {quote(group.key)}"
    status, published = first.text(STATUS).lower(), first.text(PUBLISHED).lower()
    if status not in {"", "active"}:
        return f"Status: is {quote(status)}; only active products are read"
    if published in {"false", "no", "0"}:
        return f"Published: is {quote(published)}; only published products are read"
    return None


def _is_variant(row: Row) -> bool:
    return any(row.text(column) for column in (SKU, PRICE, *(f"option{number} value" for number in OPTIONS)))


def _sku(row: Row) -> str:
    # Shopify writes an apostrophe before numbers, which keeps spreadsheets from changing them
    return row.text(SKU).removeprefix("'")


def _values(group: Group, row: Row, variants: list[Row], currency: str | None) -> dict[str, list[str]]:
    first, options = group.rows[0], _options(group.rows[0], row)
    known = {field: first.text(column) for field, column in PRODUCT_FIELDS.items()}
    known["product_type"] = known["product_type"] or first.text("Product Category") or first.text("Product category")
    known |= {"id": _id(group.key, row, variants, options), "item_group_id": group.key}
    known |= _prices(row, currency) | {"availability": _availability(row)}
    known |= {field: value for name, value in options.items() if (field := OPTION_FIELDS.get(name.lower()))}
    pictures = _pictures(group.rows, row, variants)
    values = {field: [value] for field, value in known.items()}
    return _extra(first, row, options) | values | {"image_link": pictures[:1], "additional_image_link": pictures[1:]}


def _options(first: Row, row: Row) -> dict[str, str]:
    """Values of the variant's options by their name, which only the first line of a product needs to have."""
    named = {
        row.text(f"option{number} name") or first.text(f"option{number} name") or f"Option{number}": value
        for number in OPTIONS
        if (value := row.text(f"option{number} value"))
    }
    # a product without options has this one
    return {} if named == {"Title": "Default Title"} else named


def _id(handle: str, row: Row, variants: list[Row], options: Mapping[str, str]) -> str:
    if sku := _sku(row):
        return sku
    return handle if len(variants) == 1 else "/".join([handle, *options.values()])


def _prices(row: Row, currency: str | None) -> dict[str, str]:
    """The price, and the sale price if there was a higher price before."""
    price, before = row.text(PRICE), row.text(COMPARE_AT)
    if not price or not before:
        return {"price": price}
    try:
        # without a currency there are no prices, see `parse`
        is_sale = parse_price(COMPARE_AT, before, currency).amount > parse_price(PRICE, price, currency).amount
    except InvalidValue:
        # reported when the values are read
        is_sale = True
    return {"price": before, "sale_price": price} if is_sale else {"price": price}


def _availability(row: Row) -> str:
    """The specification's value, or an empty text if the feed does not tell."""
    quantity, is_tracked = row.text(QUANTITY), bool(row.text(TRACKER))
    if not quantity:
        return ""
    if not is_tracked or (quantity.isdecimal() and int(quantity[:18]) > 0):
        return "in_stock"
    return "backorder" if row.text(POLICY).lower() in {"continue", "true"} else "out_of_stock"


def _tracked(row: Row | InvalidFeedLine) -> Row | InvalidFeedLine:
    """The row of a feed that does not tell whether quantities are tracked: they are."""
    return Row(row.number, row.values | {TRACKER: ["shopify"]}) if isinstance(row, Row) else row


def _pictures(rows: Iterable[Row], row: Row, variants: Iterable[Row]) -> list[str]:
    """The variant's picture and those of the product, but not the pictures of other variants."""
    own = row.text(VARIANT_IMAGE)
    others = {text for one in variants if (text := one.text(VARIANT_IMAGE)) and text != own}
    shared = [one.text(IMAGE) for one in sorted(rows, key=_position) if one.text(IMAGE)]
    mine = [text for text in shared if text not in others] if own else shared
    return list(dict.fromkeys([own, *mine] if own else mine))


def _position(row: Row) -> int:
    text = row.text(POSITION)
    # pictures without a position come last, in the order of the feed
    return int(text[:9]) if text.isdecimal() and text.isascii() else 1_000_000_000


def _extra(first: Row, row: Row, options: Mapping[str, str]) -> dict[str, list[str]]:
    extra = {name: values for name, values in first.values.items() if not name.lower().startswith(LINE_PREFIXES)}
    extra |= row.values
    extra |= {name: [value] for name, value in options.items() if name.lower() not in OPTION_FIELDS}
    return {_extra_name(name): values for name, values in extra.items() if not _is_used(name)}


def _extra_name(name: str) -> str:
    """The specification's name of Shopify's columns for Google; other names that mean something else get a prefix."""
    column = column_name(name.lower().removeprefix("google shopping / "))
    if column in OTHER_MERCHANT_COLUMNS:
        return column
    return f"Shopify {name}" if column_name(name) in PRODUCT_COLUMNS else name

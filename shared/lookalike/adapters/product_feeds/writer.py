"""Writes products as a feed of the Google Merchant product data specification, tab-separated."""

import csv
import io
import json
from collections.abc import Collection, Iterable, Iterator

from lookalike.adapters.product_feeds.columns import PRODUCT_COLUMNS, TEXT_COLUMNS
from lookalike.adapters.product_feeds.html_text import to_feed_text
from lookalike.adapters.product_feeds.money import format_price
from lookalike.domain.product import Product
from lookalike.domain.stored_product import stored_photo_name


def write_feed(products: Iterable[Product], extra_columns: Collection[str] | None = None) -> Iterator[str]:
    """Yield the lines of the feed, the names of the columns first. `parse_feed` reads the same products from them.

    `extra_columns` are the names of all columns in `extra` of the products. If they are `None`, they are collected
    first, for which all products are kept in memory. Raises `ValueError` if a product has another one.
    """
    if extra_columns is None:
        products = list(products)
        extra_columns = sorted({name for product in products for name in product.extra})
    yield _line([*PRODUCT_COLUMNS, *extra_columns])
    for product in products:
        if unknown := product.extra.keys() - set(extra_columns):
            raise ValueError(f"product {product.id} has columns that extra_columns lacks: {', '.join(sorted(unknown))}")
        fields = _fields(product)
        row = [fields.get(name) or "" for name in PRODUCT_COLUMNS]
        yield _line([*row, *(product.extra.get(name, "") for name in extra_columns)])


def _fields(product: Product) -> dict[str, str | None]:
    # photos that were stored before have no address; the column `image_id` names them
    pictures = [address for address in product.pictures if stored_photo_name(address) is None]
    return {name: getattr(product, name) for name in TEXT_COLUMNS} | {
        "id": product.id,
        "description": to_feed_text(product.description or ""),
        "link": product.link,
        "image_link": pictures[0] if pictures else None,
        "additional_image_link": _list_of_addresses(pictures[1:]),
        "price": format_price(product.price) if product.price else None,
        "sale_price": format_price(product.sale_price) if product.sale_price else None,
        "availability": product.availability,
        "size": _sizes(product.size),
    }


def _list_of_addresses(addresses: Collection[str]) -> str:
    """A list with commas; addresses that contain commas are in quotes."""
    return _line(addresses, ",").removesuffix("\r\n")


def _sizes(sizes: tuple[str, ...]) -> str:
    """A single size as it is; several, or one that would be read as a list, as a JSON list."""
    if len(sizes) == 1 and ";" not in sizes[0] and not sizes[0].startswith("["):
        return sizes[0]
    return json.dumps(sizes, ensure_ascii=False) if sizes else ""


def _line(fields: Iterable[str], delimiter: str = "\t") -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerow(fields)
    return buffer.getvalue()

"""Product feeds: parsers of the formats that shops export, and a writer."""

from collections.abc import Iterator
from typing import BinaryIO

from lookalike.adapters.product_feeds import (
    google_merchant_table,
    google_merchant_xml,
    json_lines,
    product_search,
    shopify,
)
from lookalike.adapters.product_feeds.detection import Detected, Format, detect, read_head
from lookalike.adapters.product_feeds.money import parse_currency
from lookalike.adapters.product_feeds.products import read_columns
from lookalike.adapters.product_feeds.text_lines import PrefixedStream, TextLines
from lookalike.adapters.product_feeds.writer import write_feed
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine

__all__ = ["parse_feed", "read_columns", "write_feed"]


def parse_feed(
    open_stream: BinaryIO, name: str, *, currency: str | None = None
) -> Iterator[FeedLine | InvalidFeedLine]:
    """Yield the products of a feed and the lines that cannot be used, in constant memory for all but ids.

    `open_stream` only needs `read` and stays open. The format is detected by its first bytes, then by `name`.
    `currency` is the ISO 4217 code of prices without one; Shopify's CSV needs it.

    Each line of a text file, or item of an XML file, is the line of one result, belongs to the one before it that
    has several lines, or is blank. Ids may repeat.

    Raises `BadRequest` for an unknown format, encoding or currency at once, for unusable column names at the first
    result, and during the iteration where the rest of the file cannot be read.
    """
    code = None if currency is None else parse_currency(currency)
    if currency is not None and code is None:
        raise BadRequest(f"The currency {currency[:20]!r} is not a code of ISO 4217, such as EUR")
    head = read_head(open_stream)
    return _parse(PrefixedStream(head, open_stream), detect(head, name), code)


def _parse(stream: PrefixedStream, feed: Detected, currency: str | None) -> Iterator[FeedLine | InvalidFeedLine]:
    if feed.format == Format.MERCHANT_XML:
        return google_merchant_xml.parse(stream, currency)
    lines = TextLines(stream, feed.encoding)
    if feed.format == Format.SHOPIFY:
        return shopify.parse(lines, feed.delimiter, currency)
    if feed.format == Format.PRODUCT_SEARCH:
        return product_search.parse(lines, feed.delimiter, feed.has_header)
    if feed.format == Format.JSON_LINES:
        return json_lines.parse(lines, currency)
    return google_merchant_table.parse(lines, feed.delimiter, currency)

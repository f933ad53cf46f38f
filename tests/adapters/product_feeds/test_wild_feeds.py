"""Properties: any feed gives results or `BadRequest`, each line counts once, and written products are read back."""

import json
from decimal import Decimal
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.adapters.product_feeds import parse_feed, write_feed
from lookalike.adapters.product_feeds.columns import PRODUCT_COLUMNS, TEXT_COLUMNS, column_name
from lookalike.adapters.product_feeds.html_text import to_plain_text
from lookalike.adapters.product_feeds.products import AVAILABILITIES
from lookalike.adapters.product_feeds.tables import Record, read_records
from lookalike.adapters.product_feeds.text_lines import PrefixedStream, TextLines
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine, Money, Product

property_test = settings(max_examples=150, deadline=None)
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
texts = any_text | st.sampled_from(
    ['"', '"a', "a;b", "[1]", '["x"]', "<b>x</b>", "&lt;", "a\nb", "a\tb", "a,b", "a\rb"]
)
filled = texts.map(str.strip).filter(bool)
optional = st.none() | filled
codes = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip).filter(bool)
addresses = st.builds(
    "{}://{}/{}".format,
    st.sampled_from(["https", "http", "gs"]),
    st.sampled_from(["a.example", "ost.example:8080"]),
    st.text(st.sampled_from("abc,;\"%?=&/#'"), max_size=8) | st.just("x,https://b.example/1"),
)
prices = st.none() | st.builds(
    Money,
    st.decimals(0, 10**11, places=3) | st.integers(0, 10**11).map(Decimal),
    st.sampled_from(["EUR", "KWD", "JPY"]),
)
availabilities = st.none() | st.sampled_from(sorted(set(AVAILABILITIES.values()))) | st.just("on demand")
extra_names = filled.filter(lambda name: column_name(name) == name and name not in PRODUCT_COLUMNS)
fields = dict.fromkeys(TEXT_COLUMNS, optional)
any_products = st.builds(
    Product,
    id=codes,
    description=st.none() | filled,
    link=st.none() | addresses.filter(lambda address: not address.startswith("gs")),
    pictures=st.lists(addresses, unique=True, max_size=5).map(tuple),
    price=prices,
    sale_price=prices,
    availability=availabilities,
    size=st.lists(filled, max_size=3).map(tuple),
    extra=st.dictionaries(extra_names, texts.filter(lambda text: text.strip() != ""), max_size=3),
    **fields,
)
HEADERS = [
    "id,title,description,price,size,additional_image_link,custom\n",
    "id\ttitle\tlink\tprice\n",
    "Handle,Title,Variant Price,Variant SKU,Image Src,Option1 Value,Status\n",
    "gs://a/1.jpg,,s,1,c,,k=v,\n",
    "image-uri,product-id,labels,bounding-poly\n",
    '{"id": "1"}\n',
    "<rss><channel><item><id>1</id>",
    "<feed><entry>",
]
pieces = (
    st.sampled_from(
        [",", "\t", '"', "\n", "\r\n", ";", "a", "1", "<item>", "</item>", "<id>", "</id>", "<g:price>", "</g:price>"]
        + [
            "<![CDATA[",
            "]]>",
            "&amp;",
            "&x;",
            "{",
            "}",
            '"id":',
            '"title": "x"',
            "15 EUR",
            "https://a.example/1",
            "a,a",
        ]
    )
    | any_text
)
wild = st.lists(pieces, max_size=40).map(lambda parts: "".join(parts).encode()) | st.binary(max_size=120)


def write(products: list[Product]) -> bytes:
    return "".join(write_feed(products)).encode()


def read(data: bytes, name: str = "feed.tsv", currency: str | None = None) -> list[FeedLine | InvalidFeedLine]:
    return list(parse_feed(BytesIO(data), name, currency=currency))


def read_products(data: bytes) -> list[Product]:
    return [line.product for line in read(data) if isinstance(line, FeedLine)]


@property_test
@given(st.lists(any_products, max_size=4))
def test_written_products_are_read_back(products: list[Product]) -> None:
    expected = [product for product in products if to_plain_text(product.description or "x")]
    assert read_products(write(expected)) == expected


@pytest.mark.parametrize("header", HEADERS)
@property_test
@given(wild)
def test_any_feed_gives_results_or_bad_request(header: str, data: bytes) -> None:
    """Products of any feed can be written, and are the same when read again."""
    found: list[FeedLine | InvalidFeedLine] = []
    try:
        # keeps the results before an error
        found.extend(parse_feed(BytesIO(header.encode() + data), "feed", currency="EUR"))
    except BadRequest as error:
        assert error.message
    assert all(line.problem for line in found if isinstance(line, InvalidFeedLine))
    products = [line.product for line in found if isinstance(line, FeedLine)]
    assert read_products(write(products)) == products


@property_test
@given(wild, st.sampled_from(["a.csv", "a.tsv", "a.jsonl", "a.xml", "a"]))
def test_any_bytes_give_results_or_bad_request(data: bytes, name: str) -> None:
    try:
        read(data, name)
    except BadRequest as error:
        assert error.message


@property_test
@given(st.lists(st.text(st.sampled_from('ab,"'), max_size=8), max_size=12), st.sampled_from(["\n", "\r\n", "\r"]))
def test_each_line_of_a_table_counts_once(lines: list[str], line_break: str) -> None:
    """Each line that is not blank is a problem, or is in exactly one record."""
    data = "".join(f"{line}{line_break}" for line in lines).encode()
    covered: list[int] = []
    for result in read_records(TextLines(PrefixedStream(data, BytesIO()), "utf-8"), ",", 2):
        breaks = "".join(result.fields).count(line_break) if isinstance(result, Record) else 0
        covered += range(result.number, result.number + breaks + 1)
    blank = [number for number, line in enumerate(lines, 1) if not line and number not in covered]
    assert sorted([*covered, *blank]) == list(range(1, len(lines) + 1))


@property_test
@given(st.lists(st.dictionaries(st.sampled_from([*PRODUCT_COLUMNS, "x", "Title"]), st.none() | texts | st.integers())))
def test_each_json_line_counts_once(rows: list[dict[str, object]]) -> None:
    data = "".join(f"{json.dumps(row)}\n" for row in [{"id": "0"}, *rows]).encode()
    assert [line.number for line in read(data)] == list(range(1, len(rows) + 2))


def test_columns_that_are_given_need_not_be_collected() -> None:
    products = [Product("1", extra={"a": "x"}), Product("2", extra={"b": "y"})]
    lines = write_feed(iter(products), ["a", "b", "c"])
    assert next(lines).endswith("\ta\tb\tc\r\n")
    assert read_products("".join(write_feed(iter(products), ["b", "a"])).encode()) == products
    with pytest.raises(ValueError, match="product 2 has columns that extra_columns lacks: b"):
        list(write_feed(products, ["a"]))

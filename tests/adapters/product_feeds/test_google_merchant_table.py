"""Google Merchant feeds as CSV and TSV."""

import re
from decimal import Decimal

import pytest

from lookalike.adapters.product_feeds.limits import MAX_LINE_LENGTH, MAX_RECORD_LINES
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine, Money, Product
from tests.adapters.product_feeds.feeds import parse, problems, products

TSV = (
    "id\titem_group_id\ttitle\tdescription\tlink\timage_link\tadditional_image_link\tprice\tsale_price\t"
    "sale_price_effective_date\tavailability\tbrand\tcolor\tsize\tgender\tage_group\tmaterial\tpattern\t"
    "google_product_category\tproduct_type\tcustom_label_0\tSeason code\n"
    "OST-1001-38\tOST-1001\tWool coat\t<p>Warm &amp; long.</p>\thttps://ost.example/coats/1001?size=38\t"
    "https://img.ost.example/1001/front.jpg\t"
    '"""https://img.ost.example/w_800,h_800/1001/back.jpg"",https://img.ost.example/1001/side.jpg"\t'
    "1,299.00 EUR\t999.00 EUR\t2026-11-01T00:00+0100/2026-11-30T23:59+0100\tin stock\tOst\tCamel\t38\tfemale\tadult\t"
    "Wool/Cashmere\tPlain\t5598\tWomen > Coats\twinter\t 26W \n"
)
COAT = Product(
    id="OST-1001-38",
    item_group_id="OST-1001",
    title="Wool coat",
    description="Warm & long.",
    link="https://ost.example/coats/1001?size=38",
    pictures=(
        "https://img.ost.example/1001/front.jpg",
        "https://img.ost.example/w_800,h_800/1001/back.jpg",
        "https://img.ost.example/1001/side.jpg",
    ),
    price=Money(Decimal(1299), "EUR"),
    sale_price=Money(Decimal(999), "EUR"),
    availability="in_stock",
    brand="Ost",
    color="Camel",
    size=("38",),
    gender="female",
    age_group="adult",
    material="Wool/Cashmere",
    pattern="Plain",
    google_product_category="5598",
    product_type="Women > Coats",
    extra={
        "sale_price_effective_date": "2026-11-01T00:00+0100/2026-11-30T23:59+0100",
        "custom_label_0": "winter",
        "Season code": " 26W ",
    },
)


def test_all_columns_of_a_tsv() -> None:
    assert parse(TSV) == [FeedLine(2, COAT)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_encodings_and_line_breaks(encoding: str, line_break: str) -> None:
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    feed = "id,title\n1,Mäntel für 😀\n\n2,Röcke\n".replace("\n", line_break)
    found = parse(mark + feed.encode(encoding))
    assert found == [FeedLine(2, Product("1", "Mäntel für 😀")), FeedLine(4, Product("2", "Röcke"))]


def test_notations_of_column_names() -> None:
    feed = "ID,Title [title],g:image_link,G:Additional Image Link,Custom Label 1,Item-Group-ID,My Column\n"
    found = products(feed + '1,Coat,https://a.example/1.jpg,"https://a.example/2.jpg, https://a.example/3.jpg",x,g,y\n')
    assert found["1"].title == "Coat" and found["1"].item_group_id == "g"
    assert found["1"].pictures == tuple(f"https://a.example/{number}.jpg" for number in (1, 2, 3))
    assert found["1"].extra == {"custom_label_1": "x", "My Column": "y"}


def test_repeated_columns() -> None:
    feed = "id,additional_image_link,additional_image_link,shipping,shipping\n"
    found = products(feed + "1,https://a.example/1.jpg,https://a.example/2.jpg,AT::4 EUR,DE::5 EUR\n")
    assert found["1"].pictures == ("https://a.example/1.jpg", "https://a.example/2.jpg")
    assert found["1"].extra == {"shipping": '["AT::4 EUR", "DE::5 EUR"]'}
    with pytest.raises(BadRequest, match="names a column twice: title"):
        parse("id,title,Title\n1,a,b\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In Stock", "in_stock"),
        ("https://schema.org/OutOfStock", "out_of_stock"),
        ("pre-order", "preorder"),
        ("back order", "backorder"),
        ("only in shops", "only in shops"),
    ],
)
def test_availability(text: str, expected: str) -> None:
    assert products(f"id,availability\n1,{text}\n")["1"].availability == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("38", ("38",)), ("39,5", ("39,5",)), ("S; M", ("S", "M")), ('["S", "M;L"]', ("S", "M;L")), ("[sic", ("[sic",))],
)
def test_sizes(text: str, expected: tuple[str, ...]) -> None:
    assert products(f"id\tsize\n1\t{text}\n")["1"].size == expected


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("price", "15.00", "price: .*no currency"),
        ("sale_price", "1.299 EUR", "sale_price: .*two meanings"),
        ("link", "javascript:alert(1)", "link: .*not an http or https address"),
        ("image_link", "//cdn.example/1.jpg", "image_link: .*not an http, https or gs address"),
        ("image_link", "file:///etc/passwd", "image_link: .*not an http, https or gs address"),
        ("additional_image_link", "https://a.example/1.jpg,next.jpg" + "x" * 3_000, "has 3,0.* limit is 2,048"),
        ("additional_image_link", ",".join(f"https://a.example/{n}.jpg" for n in range(21)), "21 pictures.*is 20"),
        ("title", "x" * 1_001, "title: has 1,001 characters; the limit is 1,000"),
        ("description", "x" * 16_001, "description: has 16,001 characters"),
    ],
)
def test_problem_names_the_column_and_stops_nothing(column: str, value: str, problem: str) -> None:
    found = parse(f"id\t{column}\n7\t{value}\n8\t\n")
    assert isinstance(found[0], InvalidFeedLine) and found[0].number == 2 and found[0].product_id == "7"
    assert re.search(problem, found[0].problem)
    assert found[1:] == [FeedLine(3, Product("8"))]


def test_missing_and_unusable_ids() -> None:
    assert problems(f"id,title\n,Coat\n{'9' * 256},Coat\n") == {
        2: "id: is missing",
        3: "id: has 256 characters; the limit is 255",
    }
    assert "control characters" in problems('id,title\n"a\nb",Coat\n')[2]


def test_missing_quote_costs_one_line() -> None:
    found = parse('id,title,color\n1,"Coat,red\n2,Shirt,blue\n3,"Hat",green\n4,Scarf,gray\n')
    assert [line.number for line in found] == [2, 3, 4, 5]
    assert isinstance(found[0], InvalidFeedLine)
    assert "check for a missing quote" in found[0].problem and "up to line 4" in found[0].problem
    assert [line.product.title for line in found[1:] if isinstance(line, FeedLine)] == ["Shirt", "Hat", "Scarf"]


def test_missing_quote_that_a_later_one_closes_costs_one_line() -> None:
    """The two lines together are valid CSV, with too few fields."""
    found = parse('id,title,color\n1,"Coat,red\n2,Shirt,"\n3,Hat,green\n')
    assert [line.number for line in found] == [2, 3, 4]
    assert isinstance(found[0], InvalidFeedLine) and isinstance(found[1], InvalidFeedLine)
    assert found[2] == FeedLine(4, Product("3", "Hat", color="green"))


def test_missing_quote_without_a_later_one_costs_one_line() -> None:
    count = 3 * MAX_RECORD_LINES
    found = parse('id,title\n0,"Coat\n' + "".join(f"{number},Shirt\n" for number in range(1, count)))
    assert [line.number for line in found] == list(range(2, count + 2))
    assert [isinstance(line, InvalidFeedLine) for line in found] == [True, *[False] * (count - 1)]


def test_quoted_line_breaks() -> None:
    found = parse('id,material,color\n1,"Wool,\n\nlined ""warm""",red\n2,Silk,blue\n')
    assert found == [
        FeedLine(2, Product("1", material='Wool,\n\nlined "warm"', color="red")),
        FeedLine(5, Product("2", material="Silk", color="blue")),
    ]


def test_quotes_of_tsv_without_quoting() -> None:
    found = products('id\ttitle\tcolor\n1\t"Best" coat of 12"\tred\n2\t12" vinyl\tblack\n')
    assert found["1"].title == '"Best" coat of 12"' and found["2"].title == '12" vinyl'


def test_number_of_fields() -> None:
    found = parse("id,title,\n1,Coat,,,\n2\n3,Hat,,x\n,,\n4,Bag,\n")
    assert [line.number for line in found if isinstance(line, FeedLine)] == [2, 6]
    assert [(line.number, line.problem[:12]) for line in found if isinstance(line, InvalidFeedLine)] == [
        (3, "has 1 fields"),
        (4, "has 4 fields"),
    ]


def test_value_in_a_column_without_a_name() -> None:
    assert problems("id,,title\n1,,Coat\n2,x,Coat\n") == {3: 'has a value in a column without a name: "x"'}


def test_invalid_utf8_costs_one_line() -> None:
    found = parse(b'id,title\n1,M\xe4ntel\n2,Coat\n3,"a\nb\xff\n4,Hat\n')
    assert [(line.number, type(line)) for line in found] == [
        (2, InvalidFeedLine),
        (3, FeedLine),
        (4, InvalidFeedLine),
        (5, InvalidFeedLine),
        (6, FeedLine),
    ]
    assert isinstance(found[0], InvalidFeedLine) and found[0].problem == "not valid UTF-8; save the feed as UTF-8"


def test_line_that_is_too_long_costs_one_line() -> None:
    found = parse("id,title\n1," + "x" * (2 * MAX_LINE_LENGTH) + "\n2,Coat\n")
    assert [(line.number, type(line)) for line in found] == [(2, InvalidFeedLine), (3, FeedLine)]


def test_original_columns_are_read_where_those_of_the_specification_are_missing() -> None:
    found = products("image_id,product_name,title,url\nlook-1,Name,Coat,https://ost.example/1\n")["look-1"]
    assert found == Product(
        "look-1", "Coat", link="https://ost.example/1", extra={"image_id": "look-1", "product_name": "Name"}
    )


def test_currency_of_a_column_or_the_option() -> None:
    feed = "id,price,currency\n1,15.00,SEK\n2,15.00,\n3,15.00 USD,SEK\n"
    found = products(feed, currency="eur")
    prices = [found[number].price for number in "123"]
    assert prices == [Money(Decimal(15), currency) for currency in ("SEK", "EUR", "USD")]


def test_too_many_columns_are_refused() -> None:
    with pytest.raises(BadRequest, match="has 501 columns; the limit is 500"):
        parse(",".join(["id", *(f"c{number}" for number in range(500))]) + "\n")

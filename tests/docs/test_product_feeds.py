"""The page about product feeds names the columns and limits of the code."""

from lookalike.adapters.product_feeds import limits
from lookalike.adapters.product_feeds.columns import FALLBACKS, PRODUCT_COLUMNS
from tests.docs.markdown import ROOT, table

PAGE = ROOT / "docs" / "product-feeds.md"


def test_page_lists_the_columns_of_products() -> None:
    rows = table(PAGE, "Column")
    assert sorted(row[0].strip("`") for row in rows) == sorted(PRODUCT_COLUMNS)
    original = {row[0].strip("`"): row[3].strip("`") for row in rows}
    assert all(original[column] == fallback for column, fallback in FALLBACKS.items())


def test_page_states_the_limits() -> None:
    stated = {row[0].replace("`", ""): int(row[1].replace(",", "")) for row in table(PAGE, "Limit of a feed")}
    assert stated == {
        "characters of a line or an XML item": limits.MAX_LINE_LENGTH,
        "columns": limits.MAX_COLUMNS,
        "pictures of a product": limits.MAX_PICTURES,
        "characters of id and item_group_id": limits.MAX_LENGTHS["id"],
        "characters of description": limits.MAX_LENGTHS["description"],
        "characters of link and of a picture's address": limits.MAX_ADDRESS_LENGTH,
        "characters of the other columns of the specification": limits.MAX_TEXT_LENGTH,
        "lines of a product in Shopify's and Product Search's CSV": limits.MAX_GROUP_LINES,
    }
    assert limits.MAX_LENGTHS["id"] == limits.MAX_LENGTHS["item_group_id"]
    assert limits.MAX_LENGTHS["link"] == limits.MAX_ADDRESS_LENGTH

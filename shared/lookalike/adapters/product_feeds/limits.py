"""Limits of product feeds, and the error for a value that cannot be used."""

MAX_LINE_LENGTH = 1_000_000
"""Characters of a line, of a record that spans several lines, and of an XML item."""
MAX_RECORD_LINES = 1_000
"""Lines of one CSV record. Bounds how often lines after an unclosed quote are read again."""
MAX_COLUMNS = 500
MAX_PICTURES = 20
"""Addresses of pictures per product, the main one included."""
MAX_GROUP_LINES = 5_000
"""Lines of one product in formats with several lines per product. Shopify has up to 2,000 variants."""
MAX_NAME_LENGTH = 255
"""Characters of a column's name."""
MAX_LENGTHS = {"id": 255, "item_group_id": 255, "link": 2_048, "description": 16_000}
"""Characters of a product's fields. The specification allows 50, 50, 2,000 and 5,000."""
MAX_TEXT_LENGTH = 1_000
"""Characters of all other fields."""
MAX_ADDRESS_LENGTH = 2_048


class InvalidValue(ValueError):
    """A value of a product cannot be used. The message is a phrase for users that names the column."""


def quote(text: str, length: int = 80) -> str:
    """The text for a message: in quotes, on one line and not too long."""
    shown = " ".join(text.split())
    return f'"{shown[:length]}…"' if len(shown) > length else f'"{shown}"'

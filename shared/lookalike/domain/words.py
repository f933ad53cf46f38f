"""Words of product details: how text is split into words and compared in full-text searches."""

import re
import unicodedata

from lookalike.domain.model import ProductDetails

TEXT_FIELDS = (
    "store_name",
    "brand",
    "product_name",
    "store_description",
    "tags",
    "sale_status",
    "size",
    "waist_type",
    "listing_season",
    "season",
)
"""Fields of `ProductDetails` whose words a full-text search finds. The words of an address would be noise."""
VALUE_FIELDS = (
    "brand",
    "store_name",
    "season",
    "listing_season",
    "sale_status",
    "waist_type",
    "size",
    "tags",
    "product_name",
)
"""Fields of `ProductDetails` whose whole value, or list item, can be looked up."""
MAX_FIELD_VALUES = 20
"""Values that `Catalog.details_fields_with_value` returns at most."""
ASCII_WORD = re.compile("[a-z0-9]+")
COMBINING_ACCENTS = dict.fromkeys(range(0x300, 0x370))
"""Accents of Latin, Greek and Cyrillic letters. Marks of other scripts are parts of their words."""
TRADEMARK_SIGNS = {ord("™"): " ", ord("℠"): " "}
"""Signs whose compatibility forms are letters, which would become part of a brand's name."""


def fold(text: str) -> str:
    """Return text in a form for comparison that ignores case, accents and surrounding, repeated or special spaces."""
    if text.isascii():
        return " ".join(text.lower().split())
    # Case is folded twice: some letters change their compatibility form with their case, and some the reverse.
    decomposed = unicodedata.normalize(
        "NFKD", unicodedata.normalize("NFKC", text.translate(TRADEMARK_SIGNS)).casefold()
    )
    composed = unicodedata.normalize("NFKC", decomposed.translate(COMBINING_ACCENTS)).casefold()
    return " ".join(composed.split())


def split_words(text: str) -> list[str]:
    """Return the words of a text in their order, folded: its longest runs of letters, digits and marks."""
    folded = fold(text)
    if folded.isascii():
        return ASCII_WORD.findall(folded)
    return "".join(letter if is_word_character(letter) else " " for letter in folded).split()


def details_words(details: ProductDetails) -> set[str]:
    """Return the distinct words of the text fields."""
    return {word for _, value in field_values(details, TEXT_FIELDS) for word in split_words(value)}


def details_contain(details: ProductDetails, text: str) -> bool:
    """Return whether the text fields together contain every word of a text. A text without words is in none."""
    wanted = set(split_words(text))
    return bool(wanted) and wanted <= details_words(details)


def field_values(details: ProductDetails, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return pairs of field name and value for text fields; a list gives one pair for each item."""
    pairs = []
    for name in names:
        value = getattr(details, name)
        items = value if isinstance(value, list) else [value]
        pairs += [(name, item) for item in items if item is not None]
    return pairs


def is_word_character(letter: str) -> bool:
    """Return whether a character is a letter, digit or mark."""
    return unicodedata.category(letter)[0] in "LNM"

"""Understanding of words without a text encoder: garment kinds, colors, patterns, and words of the product details."""

from lookalike.domain.vocabulary.colors import named_color
from lookalike.domain.vocabulary.prices import parse_price_limit
from lookalike.domain.vocabulary.reading import MAX_WORDS, Understanding, Understood, understand
from lookalike.domain.vocabulary.tokens import Token, parse_words

__all__ = [
    "MAX_WORDS",
    "Token",
    "Understanding",
    "Understood",
    "named_color",
    "parse_price_limit",
    "parse_words",
    "understand",
]

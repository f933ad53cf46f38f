"""Splits the text of a search into words."""

import re
from dataclasses import dataclass

from lookalike.domain.words import is_word_character, split_words

_CHUNK = re.compile(r"[^\s,;/\\|()\[\]{}<>\"“”„«»_‐‑–—-]+")
_BREAK = re.compile(r"[,;()\[\]{}\"“”„«»\n]|[.!?:](?=\s|$)")
_PUNCTUATION = frozenset(".!?:'’‘`…*~^=")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text, such as `Levi's`, or a sign such as `&`. Words with hyphens are several tokens."""

    start: int
    end: int
    """Position after the last character."""
    words: tuple[str, ...]
    """Its folded words: `levi` and `s`. Empty for a sign."""
    clause: int
    """Number of the part of the text between punctuation marks. A phrase is within one part."""


def parse_words(text: str) -> list[Token]:
    """Return the words and signs of a text in their order, without the punctuation around them."""
    breaks = [match.start() for match in _BREAK.finditer(text)]
    tokens = []
    for match in _CHUNK.finditer(text):
        start, end = _trim(text, *match.span())
        if start < end:
            clause = sum(position < start for position in breaks)
            tokens.append(Token(start, end, tuple(split_words(text[start:end])), clause))
    return tokens


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Leave out everything around the words in a range of a text, or the punctuation around signs if it has no words."""
    has_words = bool(split_words(text[start:end]))
    is_part = _is_part_of_word if has_words else _is_sign
    while start < end and not is_part(text[start]):
        start += 1
    while start < end and not is_part(text[end - 1]):
        end -= 1
    return start, end


def _is_part_of_word(character: str) -> bool:
    # Some signs, as letters in circles, become letters when folded.
    return is_word_character(character) or bool(split_words(character))


def _is_sign(character: str) -> bool:
    return character not in _PUNCTUATION

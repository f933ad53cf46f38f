"""Finds the meaning of each word of a search."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from lookalike.domain.vocabulary.colors import color_of_words
from lookalike.domain.vocabulary.garments import NO_GARMENTS, garment_kind
from lookalike.domain.vocabulary.patterns import LIMITS, NEGATIONS, STOP_WORDS, pattern_forms
from lookalike.domain.vocabulary.prices import Currencies, FoundPrice, find_prices
from lookalike.domain.vocabulary.tokens import Token, parse_words

MAX_WORDS = 32
"""Words of a text that are read. The others are ignored."""
MAX_PHRASE_WORDS = 5
WORDS_WITHOUT_MEANING = STOP_WORDS | NEGATIONS | LIMITS
Pairs = Sequence[tuple[str, str]]
"""Fields, as in `Understood`, with a value."""
Lookup = Callable[[str], Sequence[tuple[str, str]]]
"""Returns the fields of product details, and their values as stored, that equal a phrase."""
Occurs = Callable[[str], bool]
"""Returns whether all words of a phrase occur together in the product details of a garment."""


@dataclass(frozen=True, slots=True)
class Understood:
    """A word or phrase with its meaning."""

    text: str
    """As it is in the request."""
    field: str
    """`label`, `color`, `pattern`, `price`, `currency`, a field of the product details, or `text` for a word in them."""
    value: str
    """Garment kind, name for `named_color`, limit for `parse_price_limit`, value of the field, or words to be found."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """The meaning of the words of a text.

    Every word is part of `understood` or `ignored`, once. The exceptions are values that a shop stores in several
    spellings, and prices with two limits or a currency: `understood` contains each, with the same text.
    """

    understood: tuple[Understood, ...]
    ignored: tuple[str, ...]
    """Words that have no meaning for the search, and words after a negation."""


@dataclass(frozen=True, slots=True)
class _Phrase:
    text: str
    words: tuple[str, ...]
    clause: int
    meanings: tuple[Understood, ...]
    start: int


def understand(text: str, lookup: Lookup, occurs: Occurs, currencies: Currencies = tuple) -> Understanding:
    """Return what the words of a text mean. Longer phrases are preferred to shorter ones.

    Prices come first; then garment kinds, colors and patterns, then values of the product details, then their other
    words.
    """
    prices = find_prices(text, currencies)
    others = _without_excluded(_read_phrases(_blank(text, prices), lookup, cache(occurs)))
    phrases = sorted([*(_price_phrase(text, price) for price in prices), *others], key=lambda phrase: phrase.start)
    understood = tuple(meaning for phrase in phrases for meaning in phrase.meanings)
    return Understanding(understood, tuple(phrase.text for phrase in phrases if not phrase.meanings))


def _blank(text: str, prices: Sequence[FoundPrice]) -> str:
    """Replace prices by punctuation of the same length, so that the words around one do not become a phrase."""
    for price in prices:
        text = f"{text[: price.start]}{';' * (price.end - price.start)}{text[price.end :]}"
    return text


def _price_phrase(text: str, price: FoundPrice) -> _Phrase:
    phrase = text[price.start : price.end]
    return _Phrase(phrase, (), 0, tuple(Understood(phrase, *pair) for pair in price.pairs()), price.start)


def _read_phrases(text: str, lookup: Lookup, occurs: Occurs) -> Iterator[_Phrase]:
    """Yield phrases that together contain every word of the text once, in their order."""
    tokens = parse_words(text)
    read = tokens[:MAX_WORDS]
    phrases: dict[int, _Phrase] = {}
    taken: set[int] = set()
    for length in range(min(MAX_PHRASE_WORDS, len(read)), 0, -1):
        for start in range(len(read) - length + 1):
            span = range(start, start + length)
            if not taken.isdisjoint(span):
                continue
            phrase = _read_phrase(text, read[start : start + length], lookup, occurs)
            if phrase is not None:
                phrases[start] = phrase
                taken.update(span)
    yield from (phrases[start] for start in sorted(phrases))
    for token in tokens[MAX_WORDS:]:
        yield _Phrase(text[token.start : token.end], token.words, token.clause, (), token.start)


def _read_phrase(text: str, tokens: Sequence[Token], lookup: Lookup, occurs: Occurs) -> _Phrase | None:
    """Return the phrase that the tokens are, or `None` for several tokens that have no meaning together."""
    first, last = tokens[0], tokens[-1]
    is_single = len(tokens) == 1
    if not is_single and (not first.words or not last.words or first.clause != last.clause):
        return None
    phrase = text[first.start : last.end]
    words = tuple(word for token in tokens for word in token.words)
    # Names of shops may contain signs. Other phrases end at one: "top & skirt" is no compound.
    pairs = _fixed_meaning(words, occurs) if all(token.words for token in tokens) else None
    if pairs is None and words:
        pairs = _stored_meaning(phrase, words, is_single, lookup, occurs)
    if not pairs and not is_single and " ".join(words) not in NO_GARMENTS:
        return None
    meanings = tuple(Understood(phrase, field, value) for field, value in pairs or ())
    return _Phrase(phrase, words, first.clause, meanings, first.start)


def _fixed_meaning(words: tuple[str, ...], occurs: Occurs) -> Pairs | None:
    """Return the field and value that the vocabulary has for the words, nothing for stop words, or `None`."""
    phrase = " ".join(words)
    if phrase in NO_GARMENTS:
        return (("text", phrase),) if occurs(phrase) else ()
    if kind := garment_kind(words):
        return (("label", kind),)
    if color := color_of_words(words):
        return (("color", color),)
    if forms := pattern_forms(words):
        return tuple(("pattern", form) for form in forms if occurs(form))[:1]
    return () if phrase in WORDS_WITHOUT_MEANING else None


def _stored_meaning(phrase: str, words: tuple[str, ...], is_single: bool, lookup: Lookup, occurs: Occurs) -> Pairs:
    """Return the values of the first field that equal a phrase, or a word to be found in the details, or nothing."""
    # A phrase can only be a value if each of its words occurs. These are few questions, and save most of the lookups.
    if all(occurs(word) for word in words) and (values := lookup(phrase)):
        return tuple((field, value) for field, value in values if field == values[0][0])
    if not is_single:
        return ()
    forms = [" ".join(words), *(_other_numbers(words[0]) if len(words) == 1 else ())]
    return tuple(("text", form) for form in forms if occurs(form))[:1]


def _other_numbers(word: str) -> list[str]:
    """Return what can be the singular or plural of an English word."""
    if len(word) < 4 or not word.isalpha():
        return []
    if word.endswith("ies"):
        return [f"{word[:-3]}y", word[:-1]]
    if word.endswith("s"):
        return [word[:-1], word[:-2]] if word.endswith("es") else [word[:-1]]
    return [f"{word[:-1]}ies"] if word.endswith("y") else [f"{word}s", f"{word}es"]


def _without_excluded(phrases: Iterator[_Phrase]) -> list[_Phrase]:
    """Remove the meanings of phrases that follow a negation, and of numbers that are a limit, as in "under 80"."""
    kept: list[_Phrase] = []
    negated: int | None = None
    limited: int | None = None
    for phrase in phrases:
        word = "" if phrase.meanings else " ".join(phrase.words)
        if word in NEGATIONS:
            negated = phrase.clause
        elif word in LIMITS:
            limited = phrase.clause
        elif word not in STOP_WORDS and phrase.words:
            is_limit = limited == phrase.clause and phrase.words[0][0].isdigit()
            if is_limit or negated == phrase.clause:
                phrase = replace(phrase, meanings=())
            negated = limited = None
        kept.append(phrase)
    return kept

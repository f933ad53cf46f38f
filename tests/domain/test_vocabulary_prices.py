"""Prices in the words of a search."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.vocabulary import parse_price_limit, understand
from lookalike.domain.vocabulary.prices import find_prices
from lookalike.domain.words import split_words

STORED = ("EUR", "SEK", "USD")


def read(text: str, stored: tuple[str, ...] = STORED) -> tuple[list[tuple[str, str, str]], list[str]]:
    meaning = understand(text, lambda phrase: [], lambda phrase: False, lambda: stored)
    return [(one.text, one.field, one.value) for one in meaning.understood], [*meaning.ignored]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("under 80", ["<=80"]),
        ("Under 79.99", ["<=79.99"]),
        ("under 1,250.50", ["<=1250.50"]),
        ("below 50 EUR", ["<=50", "EUR"]),
        ("below eur 50", ["<=50", "EUR"]),
        ("over 20", [">=20"]),
        ("at least €20", [">=20", "EUR"]),
        ("less than 80€", ["<=80", "EUR"]),
        ("no more than 80 euros", ["<=80", "EUR"]),
        ("up to $80", ["<=80", "USD"]),
        ("max 500 kr", ["<=500", "SEK"]),
        ("more than 30 dollars", [">=30", "USD"]),
        ("between 20 and 50", [">=20", "<=50"]),
        ("from 20 to 50 EUR", [">=20", "<=50", "EUR"]),
        ("between €20 and €50", [">=20", "<=50", "EUR"]),
    ],
)
def test_text_is_a_price(text: str, pairs: list[str]) -> None:
    understood, ignored = read(text)
    assert [value for _, _, value in understood] == pairs and not ignored
    assert {part for part, _, _ in understood} == {text}
    assert {field for _, field, _ in understood} <= {"price", "currency"}


@pytest.mark.parametrize(
    "text",
    [
        "under 80 cm",
        "over 40 years",
        "at least 30% linen",
        "not under 80",
        "without more than 3",
        "80",
        "size 80",
        "under the 80",
        "underneath 80",
        "under 80s",
        "under 1.000,50",
        "under £80",
        "under 80 pounds",
        "between 20 red and 50",
        "under",
        "from 1990",
    ],
)
def test_text_is_no_price(text: str) -> None:
    assert all(field != "price" for _, field, _ in read(text)[0])


def test_other_words_keep_their_meaning() -> None:
    understood, ignored = read("a red dress under 80 EUR, with top under 90")
    assert understood == [
        ("red", "color", "red"),
        ("dress", "label", "dress"),
        ("under 80 EUR", "price", "<=80"),
        ("under 80 EUR", "currency", "EUR"),
        ("top", "label", "top"),
        ("under 90", "price", "<=90"),
    ]
    assert ignored == ["a", "with"]
    # a word of three letters that is no currency is not part of the price
    assert read("under 80 top")[0] == [("under 80", "price", "<=80"), ("top", "label", "top")]


def test_nothing_is_a_price_without_prices() -> None:
    assert read("dress under 80", ()) == ([("dress", "label", "dress")], ["under", "80"])
    asked = []
    find_prices("red dress 80", lambda: asked.append(1) or STORED)  # type: ignore[func-returns-value]
    assert not asked


@pytest.mark.parametrize(("limit", "bounds"), [("<=79.99", (None, 79.99)), (">=1250.50", (1250.5, None))])
def test_limits_are_parsed(limit: str, bounds: tuple[float | None, float | None]) -> None:
    assert parse_price_limit(limit) == bounds


PIECES = st.sampled_from(
    [
        "under",
        "between",
        "and",
        "20",
        "80.5",
        "1,000",
        "€",
        "$",
        "EUR",
        "top",
        "red",
        "not",
        "cm",
        "from",
        "to",
        "more",
        "than",
        "no",
        "é",
        "½",
        "８０",
        "\u0301",
        "GBP",
        "kr",
        ".",
    ]
) | st.text(max_size=4)
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from([" ", "", ", ", "\n"])), max_size=12).map(
    lambda pairs: "".join(part for pair in pairs for part in pair)
)


@given(text=TEXTS)
def test_every_word_is_either_understood_or_ignored(text: str) -> None:
    meaning = understand(text, lambda phrase: [], lambda phrase: False, lambda: STORED)
    prices = find_prices(text, lambda: STORED)
    others = [one.text for one in meaning.understood if one.field not in ("price", "currency")]
    parts = [*(text[one.start : one.end] for one in prices), *others, *meaning.ignored]
    assert Counter(word for part in parts for word in split_words(part)) == Counter(split_words(text))
    for one in prices:
        minima, maxima = zip(*map(parse_price_limit, one.limits), strict=True)
        assert any(bound is not None for bound in (*minima, *maxima))

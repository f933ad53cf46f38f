"""Vocabulary: what the words of a search mean."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.color import ciede2000, color_name
from lookalike.domain.model import GARMENT_KINDS
from lookalike.domain.vocabulary import MAX_WORDS, named_color, parse_words, understand
from lookalike.domain.vocabulary.colors import _CODES, _SYNONYMS, MODIFIERS, color_of_words
from lookalike.domain.vocabulary.garments import KIND_OF_PHRASE, NO_GARMENTS, garment_kind
from lookalike.domain.vocabulary.patterns import _FORMS, LIMITS, NEGATIONS, STOP_WORDS, pattern_forms
from lookalike.domain.words import fold, split_words

STORED = [
    ("brand", "Marlow"),
    ("brand", "MARLOW"),
    ("brand", "H&M"),
    ("brand", "Levi's"),
    ("brand", "The North Face"),
    ("store_name", "Second Spring"),
    ("store_name", "marlow"),
    ("season", "spring/summer"),
    ("sale_status", "on sale"),
    ("size", "80"),
    ("tags", "evening"),
    ("tags", "dress"),
    ("tags", "red"),
]
DESCRIPTION = "A striped linen top with long sleeves and a V neck, leopard print, one button, half price"
WORDS = {word for _, value in STORED for word in split_words(value)} | set(split_words(DESCRIPTION))


def lookup(phrase: str) -> list[tuple[str, str]]:
    return [(field, value) for field, value in STORED if fold(value) == fold(phrase)]


def occurs(phrase: str) -> bool:
    return set(split_words(phrase)) <= WORDS


def read(text: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    meaning = understand(text, lookup, occurs)
    return [(one.text, one.field, one.value) for one in meaning.understood], [*meaning.ignored]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((kind, kind) for kind in GARMENT_KINDS),
        *(
            (name, kind)
            for kind, names in {
                "top": "tee, tees, t-shirt, T-Shirts, tshirt, top, tops, blouse, blouses, jumper, sweater, hoodie, hoodies, "
                "tank top, polo shirt, dress shirt, sweater vest, shirt",
                "outerwear": "coat, coats, blazer, parka, jacket, jackets, jean jacket, cardigan, shirt jacket, puffer coat, "
                "suit, suit jacket, ponchos, anorak, raincoat",
                "dress": "dresses, gown, frock, frocks, shirt dress, T-shirt dress, coat dress, jumpsuit, swimsuit, sundresses",
                "trousers": "jeans, jean, trousers, pants, chinos, leggings, suit trousers, dress pants, joggers, culottes",
                "shorts": "short pants, jean shorts, hot pants",
                "skirt": "skirts, miniskirts, jean skirt, skorts",
                "shoes": "trainers, sneakers, sneaker, boots, sandals, heels, high heels, dress shoes, flip-flops, loafers",
                "bag": "handbag, handbags, tote, tote bag, backpack, purse, clutches, cross-body bag, wallet",
                "hat": "cap, caps, beanie, beanies, baseball cap, beret",
                "scarf": "scarves, scarfs, shawl, shawls, bandanas",
            }.items()
            for name in names.split(", ")
        ),
    ],
)
def test_names_of_garments(name: str, kind: str) -> None:
    assert read(name) == ([(name, "label", kind)], [])


@pytest.mark.parametrize("name", ["socks", "belt", "button", "shirt collar", "dressing", "bagpipe", "topless", "heel"])
def test_other_things_are_no_garments(name: str) -> None:
    assert garment_kind(split_words(name)) is None or name in NO_GARMENTS
    assert not [field for _, field, _ in read(name)[0] if field == "label"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("red", "red"),
        ("Navy", "navy"),
        ("navy blue", "navy"),
        ("dark red", "dark red"),
        ("light-blue", "light blue"),
        ("pale grey", "pale gray"),  # codespell:ignore grey
        ("light grey", "light gray"),  # codespell:ignore grey
        ("burgundy", "burgundy"),
        ("wine red", "burgundy"),
        ("beige", "beige"),
        ("off-white", "off white"),
        ("grey-blue", "blue gray"),  # codespell:ignore grey
        ("dark olive green", "dark olive"),
        ("very", None),
        ("dark", None),
        ("light weight", None),
    ],
)
def test_names_of_colors(text: str, value: str | None) -> None:
    assert color_of_words(split_words(text)) == value
    if value is not None:
        assert read(text) == ([(text, "color", value)], [])


@pytest.mark.parametrize("name", [*_CODES, *(f"{modifier} blue" for modifier in MODIFIERS)])
def test_every_color_has_a_name_and_valid_values(name: str) -> None:
    lightness, a, b = named_color(name)
    assert 0 < lightness <= 100
    assert np.hypot(a, b) < 110
    assert color_of_words(name.split()) == name


def test_synonyms_name_known_colors() -> None:
    assert set(_SYNONYMS.values()) <= _CODES.keys()
    assert not _SYNONYMS.keys() & _CODES.keys()
    for name in ("grape", "", "dark", "dark grape", "blue dark"):
        with pytest.raises(ValueError, match="There is no color named"):
            named_color(name)


def test_modifiers_change_colors_in_their_direction() -> None:
    lightness = {name: named_color(f"{name} green")[0] for name in MODIFIERS}
    assert lightness["dark"] < lightness["deep"] < lightness["medium"] < lightness["light"] < lightness["pale"]
    chroma = {name: np.hypot(*named_color(f"{name} green")[1:]) for name in MODIFIERS}
    assert chroma["pastel"] < chroma["dusty"] < chroma["dark"] < chroma["bright"] < chroma["neon"]
    for name in ("blue", "red", "green", "pink", "yellow"):
        assert color_name(named_color(name)) == name
    distances = ciede2000(np.array([named_color("navy"), named_color("light blue")]), named_color("dark blue"))
    assert distances[0] < 15 < distances[1]


@pytest.mark.parametrize(
    ("text", "understood", "ignored"),
    [
        ("striped", [("striped", "pattern", "striped")], []),
        ("stripes", [("stripes", "pattern", "striped")], []),
        ("Leopard print", [("Leopard print", "pattern", "leopard print")], []),
        ("cheetah", [("cheetah", "pattern", "leopard")], []),
        ("polka dots", [], ["polka", "dots"]),
        ("plain", [], ["plain"]),
    ],
)
def test_patterns_are_found_in_the_form_that_occurs(
    text: str, understood: list[tuple[str, str, str]], ignored: list[str]
) -> None:
    assert read(text) == (understood, ignored)


@pytest.mark.parametrize(
    ("text", "understood", "ignored"),
    [
        ("marlow", [("marlow", "brand", "Marlow"), ("marlow", "brand", "MARLOW")], []),
        ("h&m LEVI'S", [("h&m", "brand", "H&M"), ("LEVI'S", "brand", "Levi's")], []),
        ("the north face", [("the north face", "brand", "The North Face")], []),
        ("the north", [("north", "text", "north")], ["the"]),
        ("second spring", [("second spring", "store_name", "Second Spring")], []),
        ("second, spring", [("second", "text", "second"), ("spring", "text", "spring")], []),
        ("Spring / Summer", [("Spring", "text", "spring"), ("Summer", "text", "summer")], []),
        ("spring/summer", [("spring/summer", "season", "spring/summer")], []),
        ("coats on sale", [("coats", "label", "outerwear"), ("on sale", "sale_status", "on sale")], []),
        ("red dress", [("red", "color", "red"), ("dress", "label", "dress")], []),
        ("linen buttons", [("linen", "text", "linen"), ("buttons", "text", "button")], []),
        ("Évening sleeve", [("Évening", "tags", "evening"), ("sleeve", "text", "sleeves")], []),
        ("wool", [], ["wool"]),
        ("wool&silk", [], ["wool&silk"]),
    ],
)
def test_values_and_words_of_product_details(
    text: str, understood: list[tuple[str, str, str]], ignored: list[str]
) -> None:
    assert read(text) == (understood, ignored)


@pytest.mark.parametrize(
    ("text", "fields", "ignored"),
    [
        ("a dress in red with long sleeves", ["label", "color", "text", "text"], ["a", "in", "with"]),
        ("dress without long sleeves", ["label", "text"], ["without", "long"]),
        ("dress, not red, linen", ["label", "text"], ["not", "red"]),
        ("no, linen", ["text"], ["no"]),
        ("not in the red dress", ["label"], ["not", "in", "the", "red"]),
        ("dress under 80", ["label"], ["under", "80"]),
        ("dress for less than €80", ["label"], ["for", "less", "than", "80"]),
        ("dress in size 80", ["label", "size"], ["in", "size"]),
        ("under the dress 80", ["label", "size"], ["under", "the"]),
        ("blue and white", ["color", "color"], ["and"]),
        ("top & skirt 👗", ["label", "label"], ["&", "👗"]),
        ("cap sleeve top", ["label"], ["cap sleeve"]),
        ("?! - ... ,", [], []),
        ("", [], []),
    ],
)
def test_what_cannot_be_understood_is_ignored(text: str, fields: list[str], ignored: list[str]) -> None:
    understood, others = read(text)
    assert ([field for _, field, _ in understood], others) == (fields, ignored)


def test_words_beyond_the_limit_are_ignored() -> None:
    meaning = understand("red " * (MAX_WORDS + 3), lookup, occurs)
    assert len(meaning.understood) == MAX_WORDS
    assert meaning.ignored == ("red",) * 3


def test_questions_to_the_catalog_are_few() -> None:
    asked: list[str] = []

    def record_lookup(phrase: str) -> list[tuple[str, str]]:
        asked.append(f"lookup {phrase}")
        return lookup(phrase)

    def record_occurs(phrase: str) -> bool:
        asked.append(phrase)
        return occurs(phrase)

    understand("a dark red dress", record_lookup, record_occurs)
    # only for phrases that are not in the vocabulary: "a", "a dark", "red dress" and the like
    assert len(asked) <= 6
    asked.clear()
    understand("unknown words " * 5, record_lookup, record_occurs)
    assert sorted(asked) == ["unknown", "unknownes", "unknowns", "word", "words"]


def test_entries_of_the_vocabulary_are_folded_and_distinct() -> None:
    colors = {*_CODES, *_SYNONYMS}
    patterns = {form for forms in _FORMS for form in forms.split(", ")}
    for phrase in (*KIND_OF_PHRASE, *NO_GARMENTS, *colors, *patterns, *STOP_WORDS, *NEGATIONS, *LIMITS, *MODIFIERS):
        assert " ".join(split_words(phrase)) == phrase
    assert set(KIND_OF_PHRASE.values()) == set(GARMENT_KINDS)
    groups = [{*KIND_OF_PHRASE}, colors, patterns, {*STOP_WORDS, *NEGATIONS, *LIMITS}]
    assert len(set().union(*groups)) == sum(len(group) for group in groups)
    assert all(pattern_forms(form.split())[0] == form for form in patterns)


PIECES = st.one_of(
    st.sampled_from(
        [
            *STOP_WORDS,
            *NEGATIONS,
            *NO_GARMENTS,
            *(value for _, value in STORED),
            *DESCRIPTION.split(),
            "dark",
            "navy",
            "80",
        ]
    ),
    st.sampled_from(["t-shirt", "Dresses", "polka dots", "🙂", "&", "—", "™", "é", "Ⓐ", "½", "夏", "हिन्दी", "ﬁ", "İ"]),
    st.text(max_size=8),
)
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from([" ", ", ", "-", "/", ". ", "\n", ""]))).map(
    lambda pairs: "".join(part for pair in pairs for part in pair)[:500]
)


@given(text=TEXTS | st.text(max_size=500), knows_all=st.booleans())
def test_every_word_is_either_understood_or_ignored(text: str, knows_all: bool) -> None:
    # One spelling for each value: then every phrase has one meaning.
    meaning = understand(text, lambda phrase: lookup(phrase)[:1], lambda phrase: knows_all or occurs(phrase))
    texts = [*(one.text for one in meaning.understood), *meaning.ignored]
    assert Counter(word for part in texts for word in split_words(part)) == Counter(
        word for token in parse_words(text) for word in token.words
    )
    assert all(part and part in text for part in texts)
    for one in meaning.understood:
        assert one.value
        assert one.field != "label" or one.value in GARMENT_KINDS
        assert one.field != "color" or named_color(one.value)


@given(text=TEXTS | st.text())
def test_tokens_contain_every_word_of_the_text(text: str) -> None:
    tokens = parse_words(text)
    assert [word for token in tokens for word in token.words] == split_words(text)
    assert all(first.end <= second.start for first, second in pairwise(tokens))
    assert all(text[token.start : token.end] == text[token.start : token.end].strip() for token in tokens)

"""Words of product details: folding, splitting and containment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.model import ProductDetails
from lookalike.domain.words import details_contain, fold, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Linen  SHIRT", ["linen", "shirt"]),
        ("T-shirt, size_M (100%)", ["t", "shirt", "size", "m", "100"]),
        ("Crème brûlée", ["creme", "brulee"]),
        ("cre\u0300me", ["creme"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("İstanbul", ["istanbul"]),
        ("Ｗｉｄｅ ﬁt", ["wide", "fit"]),
        ("Ёлка йод", ["елка", "иод"]),
        ("हिन्दी", ["हिन्दी"]),
        ("夏のドレス", ["夏のドレス"]),
        ("Nike™ Air®", ["nike", "air"]),
        ("levi’s H&M", ["levi", "s", "h", "m"]),
        ("\u00a0 \u2003\t", []),
        ("👗", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@given(text=st.text())
def test_folded_text_stays_as_it_is(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert split_words(fold(text)) == split_words(text)
    assert split_words(" ".join(split_words(text))) == split_words(text)


@given(text=st.text())
def test_case_makes_no_difference_to_ascii_and_other_text(text: str) -> None:
    assert fold(f" {text}\n") == fold(text)
    ascii_text = "".join(character for character in text if character.isascii())
    assert fold(ascii_text) == fold(ascii_text.upper())
    # the fast path for ASCII gives the same as the general one
    assert fold(f"{ascii_text} é") == f"{fold(ascii_text)} e".strip()


def test_details_contain_words_of_all_text_fields() -> None:
    details = ProductDetails("a", brand="Ost", tags=["Linen"], size=["XL"], url="https://shop.example", rating=4.5)
    assert details_contain(details, "linen ost xl")
    for text in ("shop", "4.5", "a", "", "linen wool"):
        assert not details_contain(details, text)

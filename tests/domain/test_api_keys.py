"""Texts and signatures of API keys."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.api_keys import ApiKey, KeyRole, create_key_text, key_signature, parse_key_text

SIGNING_KEY = b"s" * 32
START = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEY = ApiKey(
    "ab" * 6, "shop", KeyRole.SEARCH, "cd" * 32, '{"brand": "Ost"}', 600, 30, ("https://a.example",), START, START
)
TEXT = create_key_text(SIGNING_KEY)
CHARACTERS = st.sampled_from("0123456789abcdefABCDEF_lk ٣𝟘é\n\0") | st.characters()


def test_text_is_recognized_and_contains_no_checksum() -> None:
    parsed = parse_key_text(TEXT, SIGNING_KEY)
    assert parsed is not None and TEXT.startswith(f"lk_{parsed.key_id}_")
    assert parsed.secret_sha256 not in TEXT and len(parsed.secret_sha256) == 64


def test_texts_are_different() -> None:
    texts = [create_key_text(SIGNING_KEY) for _ in range(100)]
    assert len({text.split("_")[1] for text in texts}) == len({text.split("_")[2] for text in texts}) == 100


def test_text_of_another_signing_key_is_unknown() -> None:
    assert parse_key_text(TEXT, b"t" * 32) is None


@given(st.integers(0, len(TEXT) - 1), CHARACTERS)
def test_text_with_another_character_is_unknown(position: int, character: str) -> None:
    changed = TEXT[:position] + character + TEXT[position + 1 :]
    assert (parse_key_text(changed, SIGNING_KEY) is None) == (changed != TEXT)


@given(st.integers(0, len(TEXT)), st.text(CHARACTERS, min_size=1, max_size=3))
def test_text_with_more_characters_is_unknown(position: int, added: str) -> None:
    assert parse_key_text(TEXT[:position] + added + TEXT[position:], SIGNING_KEY) is None


@given(st.integers(0, len(TEXT)), st.integers(0, len(TEXT)))
def test_part_of_a_text_is_unknown(start: int, end: int) -> None:
    assert (parse_key_text(TEXT[start:end], SIGNING_KEY) is None) == (TEXT[start:end] != TEXT)


@given(st.text())
def test_invented_text_is_unknown(text: str) -> None:
    assert parse_key_text(text, SIGNING_KEY) is None and parse_key_text(f"lk_{text}", SIGNING_KEY) is None


@pytest.mark.parametrize(
    "change",
    [
        {"id": "ba" * 6},
        {"role": KeyRole.ADMIN},
        {"secret_sha256": "dc" * 32},
        {"filter_json": "{}"},
        {"requests_per_minute": 0},
        {"requests_per_address": 0},
        {"origins": ()},
        {"created": START - timedelta(seconds=1)},
        {"expires": None},
        {"expires": START + timedelta(days=1)},
    ],
    ids=lambda change: ",".join(change),
)
def test_signature_covers_what_the_key_may_do(change: dict[str, object]) -> None:
    assert key_signature(replace(KEY, **change), SIGNING_KEY) != key_signature(KEY, SIGNING_KEY)  # type: ignore[arg-type]


def test_signature_does_not_cover_what_changes_later() -> None:
    used = replace(KEY, name="other", last_used=START, revoked=START, signature="ab")
    assert key_signature(used, SIGNING_KEY) == key_signature(KEY, SIGNING_KEY) != key_signature(KEY, b"t" * 32)


def test_secrets_are_not_in_the_representation() -> None:
    assert KEY.secret_sha256 not in repr(replace(KEY, signature="ef" * 32)) and "ef" * 32 not in repr(KEY)

"""Signed JSON documents."""

import pytest

from lookalike.domain.errors import Untrusted
from lookalike.domain.signed_json import sign_json, verify_json

KEY = b"a key"
CONTENT = {"a": 1.5, "b": {"ü": None}, "c": []}


def test_verify_returns_signed_content() -> None:
    assert verify_json(sign_json(CONTENT, KEY), KEY, "The document") == CONTENT


def test_verify_rejects_equal_json_in_other_spelling() -> None:
    with pytest.raises(Untrusted, match="The document has an invalid signature"):
        verify_json(sign_json(CONTENT, KEY) + b"\n", KEY, "The document")

"""Signed JSON documents. The HMAC key is kept apart from them, so the bucket alone cannot forge one."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from lookalike.domain.errors import Untrusted


def sign_json(content: Mapping[str, object], key: bytes) -> bytes:
    """Return canonical JSON of the content and its `signature`: hexadecimal HMAC-SHA256 of the canonical content."""
    return _canonical_json({**content, "signature": json_signature(content, key)})


def json_signature(content: Mapping[str, object], key: bytes) -> str:
    """Return the hexadecimal HMAC-SHA256 of canonical JSON of the content."""
    return hmac.new(key, _canonical_json(content), hashlib.sha256).hexdigest()


def verify_json(data: bytes, key: bytes, description: str) -> dict[str, Any]:
    """Return the signed content without its signature.

    Raises `Untrusted` unless the data are byte for byte what `sign_json` writes. `description` names the document in
    the error message.
    """
    try:
        content = json.loads(data)
        content.pop("signature")
        expected = sign_json(content, key)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Untrusted(f"{description} is not a valid signed document") from error
    # Compares whole documents: JSON that parses to the same content but is spelled differently is refused, too.
    if not hmac.compare_digest(expected, data):
        raise Untrusted(f"{description} has an invalid signature: it was modified, or signed with another key")
    return dict(content)


def _canonical_json(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

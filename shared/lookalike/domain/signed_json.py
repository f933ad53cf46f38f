"""JSON that only we can have written: signed with a key that is not where it is kept."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from lookalike.domain.errors import Untrusted


def sign_json(content: Mapping[str, object], key: bytes) -> bytes:
    """Canonical JSON of the content with its `signature`: HMAC-SHA256, in hex, over the canonical JSON of the rest."""
    signature = hmac.new(key, _canonical(content), hashlib.sha256).hexdigest()
    return _canonical({**content, "signature": signature})


def verify_json(data: bytes, key: bytes, description: str) -> dict[str, Any]:
    """The content that was sealed. Raises `Untrusted` if a single byte is not as `seal` writes it."""
    try:
        content = json.loads(data)
        content.pop("signature")
        sealed = sign_json(content, key)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Untrusted(f"{description} cannot be read") from error
    if not hmac.compare_digest(sealed, data):
        raise Untrusted(f"{description} fails its signature")
    return dict(content)


def _canonical(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

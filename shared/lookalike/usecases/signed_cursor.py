"""Cursors of pages: opaque, signed text that is bound to one request."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from lookalike.domain.errors import InvalidField, Untrusted
from lookalike.domain.signed_json import sign_json, verify_json


def encode_signed_cursor(kind: str, content: Mapping[str, object], fingerprint: str, key: bytes) -> str:
    """Return a cursor as text. `fingerprint` is that of the request, and `kind` keeps cursors of other lists apart."""
    signed = sign_json({"kind": kind, "request": fingerprint, **content}, key)
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def decode_signed_cursor(kind: str, text: str, fingerprint: str, key: bytes) -> dict[str, Any]:
    """Return the content of a cursor.

    Raises `InvalidField` if the text is not a cursor of this kind, or belongs to another request.
    """
    try:
        signed = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        content = verify_json(signed, key, "The cursor")
    except (Untrusted, binascii.Error, ValueError) as error:
        raise InvalidField("cursor: not a cursor of this server", field="cursor") from error
    if content.get("kind") != kind or content["request"] != fingerprint:
        raise InvalidField(
            "cursor: belongs to another request; send the same request as for the previous page", field="cursor"
        )
    return content

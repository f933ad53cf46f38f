"""Cursors of result pages: opaque, signed text with the rows that earlier pages contained.

A page leaves these rows out by their ids. Rounding of similarities, new rows and deleted rows can therefore neither
repeat a row nor skip one. A cursor has about one byte for each row of the earlier pages.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lookalike.domain.errors import InvalidField, Untrusted
from lookalike.domain.signed_json import sign_json, verify_json

KIND = "search-cursor"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Position in the results of one request."""

    seen_ids: frozenset[int] = frozenset()
    """Row ids on the earlier pages."""
    examined: int = 0
    """Number of nearest rows that the earlier pages examined."""


def encode_cursor(cursor: Cursor, fingerprint: str, key: bytes) -> str:
    """Return the cursor as text. `fingerprint` is that of the request, to which the cursor is bound."""
    content = {
        "kind": KIND,
        "request": fingerprint,
        "seen": _pack_ids(cursor.seen_ids),
        "examined": cursor.examined,
    }
    return base64.urlsafe_b64encode(sign_json(content, key)).decode().rstrip("=")


def decode_cursor(text: str | None, fingerprint: str, key: bytes) -> Cursor:
    """Return the cursor, or that of the first page for `None`.

    Raises `InvalidField` if the text is not a cursor, or belongs to another request.
    """
    if text is None:
        return Cursor()
    try:
        signed = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        content = verify_json(signed, key, "The cursor")
    except (Untrusted, binascii.Error, ValueError) as error:
        raise InvalidField("cursor: not a cursor of this server", field="cursor") from error
    if content.get("kind") != KIND or content["request"] != fingerprint:
        raise InvalidField(
            "cursor: belongs to another request; send the same request as for the previous page", field="cursor"
        )
    return Cursor(_unpack_ids(content["seen"]), content["examined"])


def _pack_ids(row_ids: Iterable[int]) -> str:
    # differences of sorted ids are small numbers, which compress well
    differences = np.diff(np.array(sorted(row_ids), "<i8"), prepend=np.int64(0))
    return base64.b64encode(zlib.compress(differences.astype("<i8").tobytes())).decode()


def _unpack_ids(packed: str) -> frozenset[int]:
    differences = np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<i8")
    return frozenset(np.cumsum(differences).tolist())

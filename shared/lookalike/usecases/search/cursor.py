"""Cursors of result pages: opaque, signed text with the rows that earlier pages contained.

A page leaves these rows out by their ids. Rounding of similarities, new rows and deleted rows can therefore neither
repeat a row nor skip one. A cursor has about one byte for each row of the earlier pages.
"""

import base64
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lookalike.usecases.signed_cursor import decode_signed_cursor, encode_signed_cursor

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
    content = {"seen": _pack_ids(cursor.seen_ids), "examined": cursor.examined}
    return encode_signed_cursor(KIND, content, fingerprint, key)


def decode_cursor(text: str | None, fingerprint: str, key: bytes) -> Cursor:
    """Return the cursor, or that of the first page for `None`. Raises the same as `decode_signed_cursor`."""
    if text is None:
        return Cursor()
    content = decode_signed_cursor(KIND, text, fingerprint, key)
    return Cursor(_unpack_ids(content["seen"]), content["examined"])


def _pack_ids(row_ids: Iterable[int]) -> str:
    # differences of sorted ids are small numbers, which compress well
    differences = np.diff(np.array(sorted(row_ids), "<i8"), prepend=np.int64(0))
    return base64.b64encode(zlib.compress(differences.astype("<i8").tobytes())).decode()


def _unpack_ids(packed: str) -> frozenset[int]:
    differences = np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<i8")
    return frozenset(np.cumsum(differences).tolist())

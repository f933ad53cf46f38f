"""Which format a feed has: by its first bytes, and by its name if they leave it open."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import BinaryIO

from lookalike.adapters.product_feeds import google_merchant_table, product_search, shopify
from lookalike.domain.errors import BadRequest

HEAD_SIZE = 1 << 16
"""Bytes that are looked at."""
DELIMITERS = ("\t", ",", ";")
TABLE_SUFFIXES = {".tsv": "\t", ".txt": "\t", ".tab": "\t", ".csv": ","}
JSON_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json"})
XML_SUFFIXES = frozenset({".xml", ".rss", ".atom"})
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    # before UTF-16, whose mark is the beginning of this one
    (b"\xff\xfe\x00\x00", None),
    (b"\x00\x00\xfe\xff", None),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
HTML_PAGE = re.compile(r"(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE)
COMPRESSED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "ZIP or an Excel workbook", b"BZh": "bzip2"}


class Format(StrEnum):
    """Formats of product feeds."""

    MERCHANT_TABLE = "Google Merchant CSV or TSV"
    MERCHANT_XML = "Google Merchant RSS or Atom"
    SHOPIFY = "Shopify product CSV"
    PRODUCT_SEARCH = "Google Product Search CSV"
    JSON_LINES = "JSON Lines"


@dataclass(frozen=True, slots=True)
class Detected:
    """The format of a feed. `delimiter` and `has_header` count for tables only."""

    format: Format
    encoding: str
    delimiter: str = ","
    has_header: bool = True


def read_head(stream: BinaryIO) -> bytes:
    """Read the first bytes, also of a stream that returns few bytes at a time."""
    head = b""
    while len(head) < HEAD_SIZE and (data := stream.read(HEAD_SIZE - len(head))):
        head += data
    return head


def detect(head: bytes, name: str) -> Detected:
    """Detect the format. Raises `BadRequest` if it is unknown or the encoding is not supported."""
    encoding = _encoding(head)
    # the head may end within a character
    text = head.decode(encoding, errors="ignore").lstrip()
    if not text:
        raise BadRequest("The feed is empty")
    if text.startswith("<"):
        if HTML_PAGE.match(text):
            raise BadRequest("The feed is an HTML page; check its address, and whether it asks to sign in")
        return Detected(Format.MERCHANT_XML, encoding)
    if text.startswith("{"):
        return Detected(Format.JSON_LINES, encoding)
    if text.startswith("[") and PurePath(name).suffix.lower() in JSON_SUFFIXES:
        raise BadRequest("The feed is a JSON list; write it as JSON Lines: one object per line")
    return _detect_table(text, encoding) or _detect_by_name(name, encoding)


def _encoding(head: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            if encoding is None:
                raise BadRequest("The feed is UTF-32, which is not supported; save it as UTF-8")
            return encoding
    for magic, kind in COMPRESSED.items():
        if head.startswith(magic):
            raise BadRequest(f"The feed is compressed ({kind}); unpack it, and save it as text in UTF-8")
    if b"\x00" in head[:200:2] or b"\x00" in head[1:200:2]:
        raise BadRequest("The feed is binary, or UTF-16 without a byte order mark; save it as UTF-8")
    return "utf-8"


def _detect_table(text: str, encoding: str) -> Detected | None:
    for delimiter, fields in _first_records(text):
        if product_search.is_first_line(fields):
            return Detected(Format.PRODUCT_SEARCH, encoding, delimiter, has_header=False)
        if product_search.is_header(fields):
            return Detected(Format.PRODUCT_SEARCH, encoding, delimiter)
        if shopify.is_header(fields):
            return Detected(Format.SHOPIFY, encoding, delimiter)
        if google_merchant_table.is_header(fields):
            return Detected(Format.MERCHANT_TABLE, encoding, delimiter)
    return None


def _first_records(text: str) -> Iterator[tuple[str, list[str]]]:
    """The first record with each delimiter that splits it, then as a single field."""
    lines = text.splitlines(keepends=True)
    found = []
    for delimiter in DELIMITERS:
        try:
            found.append((delimiter, next(csv.reader(lines, delimiter=delimiter), [])))
        except csv.Error:
            continue
    # a name in quotes may contain another delimiter: the one that splits into most fields is meant
    yield from sorted(found, key=lambda pair: -len(pair[1]))


def _detect_by_name(name: str, encoding: str) -> Detected:
    suffix = PurePath(name).suffix.lower()
    if suffix in XML_SUFFIXES:
        return Detected(Format.MERCHANT_XML, encoding)
    if suffix in JSON_SUFFIXES:
        return Detected(Format.JSON_LINES, encoding)
    if suffix in TABLE_SUFFIXES:
        return Detected(Format.MERCHANT_TABLE, encoding, TABLE_SUFFIXES[suffix])
    raise BadRequest(
        "The format of the feed was not recognized; use Google Merchant CSV, TSV or XML, Shopify's product CSV, "
        "Product Search's import CSV, or JSON Lines"
    )

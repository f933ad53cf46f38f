"""Lines of a text file, decoded and numbered, with a limited length."""

import io
import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from lookalike.adapters.product_feeds.limits import MAX_LINE_LENGTH
from lookalike.domain.errors import BadRequest

NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""Surrogates: with `surrogateescape`, bytes that are not valid UTF-8 decode to them."""


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line with its line break. `problem` tells why it cannot be used."""

    number: int
    text: str
    problem: str | None = None

    @property
    def is_blank(self) -> bool:
        """Whether the line is empty."""
        return not self.problem and not self.text.strip("\r\n")


class PrefixedStream(io.RawIOBase):
    """A stream of which the first bytes were read already. Closing it leaves the original stream open."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read up to the length of the buffer."""
        data = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


class TextLines:
    """Reads lines, and takes lines back to read them again. Line breaks are LF, CR LF and CR."""

    def __init__(self, stream: io.RawIOBase, encoding: str) -> None:
        # invalid bytes must fail only their own line, so they are decoded to surrogates and rejected there
        errors = "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass"
        buffered = io.BufferedReader(stream, 1 << 16)
        self._file = io.TextIOWrapper(buffered, encoding=encoding, errors=errors, newline="")
        self._encoding = encoding
        self._returned: deque[TextLine] = deque()
        self._number = 0

    def next(self) -> TextLine | None:
        """The next line, or `None` at the end. Raises `BadRequest` if the rest of the file cannot be decoded."""
        if self._returned:
            return self._returned.popleft()
        text = self._read()
        if not text:
            return None
        self._number += 1
        if len(text) > MAX_LINE_LENGTH:
            while text and not text.endswith(("\n", "\r")):
                text = self._read()
            return TextLine(
                self._number, "", f"longer than {MAX_LINE_LENGTH:,} characters; check for missing line breaks"
            )
        if NOT_UTF8.search(text):
            return TextLine(self._number, "", f"not valid {self._name()}; save the feed as UTF-8")
        return TextLine(self._number, text)

    def take_back(self, lines: Iterable[TextLine]) -> None:
        """Return lines that were read, in their order. They are the next ones."""
        self._returned.extendleft(reversed(list(lines)))

    def _read(self) -> str:
        try:
            return self._file.readline(MAX_LINE_LENGTH + 1)
        except UnicodeError as error:
            raise BadRequest(f"The feed is not valid {self._name()} after line {self._number}: {error}") from error

    def _name(self) -> str:
        return self._encoding.upper().removesuffix("-SIG")

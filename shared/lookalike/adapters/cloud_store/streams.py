"""What comes in pieces, for a library that wants files."""

import base64
from collections.abc import Iterable, Iterator


class Running:
    """The pieces, and in the end the checksum of all of them."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        import google_crc32c

        self._pieces, self._sum = pieces, google_crc32c.Checksum()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._sum.update(piece)
            yield piece

    @property
    def crc32c(self) -> str:
        return base64.b64encode(self._sum.digest()).decode()


class Stream:
    """Enough of a file for an upload. It cannot go back; an upload keeps what it has read until that has arrived."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._waiting, self._given = iter(pieces), bytearray(), 0

    def read(self, size: int) -> bytes:
        """As many as are asked for, and fewer at the end alone."""
        while len(self._waiting) < size and (piece := next(self._pieces, None)) is not None:
            self._waiting += piece
        found = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._given += len(found)
        return found

    def tell(self) -> int:
        return self._given

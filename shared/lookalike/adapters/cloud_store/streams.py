"""Adapters between iterators of chunks and file-like objects."""

import base64
from collections.abc import Iterable, Iterator


class ChecksummedChunks:
    """Passes chunks through and computes their CRC32C."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        import google_crc32c

        self._chunks, self._checksum = chunks, google_crc32c.Checksum()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._checksum.update(chunk)
            yield chunk

    @property
    def crc32c(self) -> str:
        """The CRC32C in base64 of all chunks passed so far."""
        return base64.b64encode(self._checksum.digest()).decode()


class ChunkReader:
    """Readable file object over chunks, with the methods that a resumable upload uses. It cannot seek.

    The upload keeps the data it has read until the service has stored it, so it does not need to seek.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._buffer, self._position = iter(chunks), bytearray(), 0

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes, or fewer at the end."""
        while len(self._buffer) < size and (chunk := next(self._chunks, None)) is not None:
            self._buffer += chunk
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._position += len(data)
        return data

    def tell(self) -> int:
        """Return the number of bytes read."""
        return self._position

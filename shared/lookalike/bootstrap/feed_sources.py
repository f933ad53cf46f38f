"""Opens product feeds: files, objects in buckets, and addresses on the web."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import InvalidField, NotFound
from lookalike.domain.ports import ObjectStore
from lookalike.usecases.catalog_sync.feeds import WEB_SCHEMES, FeedRequest
from lookalike.usecases.catalog_sync.sync import Lines


@dataclass(frozen=True, slots=True)
class FeedSources:
    """Opens feeds. `fetch` returns the feed at an address on the web, and `open_store` opens a bucket."""

    fetch: Callable[[str, CancelToken], bytes]
    open_store: Callable[[str], ObjectStore]

    @contextmanager
    def open_lines(self, request: FeedRequest, cancel: CancelToken) -> Iterator[Lines]:
        """Open a feed and detect its format. Raises the same as `parse_feed`, `NotFound` and `InvalidField`."""
        from lookalike.adapters.product_feeds import parse_feed

        with self._open(request.source, cancel) as stream:
            yield parse_feed(stream, request.source, currency=request.currency)

    @contextmanager
    def _open(self, source: str, cancel: CancelToken) -> Iterator[BinaryIO]:
        if source.startswith(WEB_SCHEMES):
            yield io.BytesIO(self.fetch(source, cancel))
        elif source.startswith("gs://"):
            bucket, _, path = source.removeprefix("gs://").partition("/")
            if not bucket or not path:
                raise InvalidField(f"{source} is not the address of an object: use gs://bucket/path", field="feed")
            chunks = self.open_store(f"gs://{bucket}").read(path)
            yield cast(BinaryIO, io.BufferedReader(_ChunkReader(chunks)))
        else:
            with _open_file(source) as file:
                yield file


def _open_file(source: str) -> BinaryIO:
    try:
        return Path(source).open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {source}") from error
    except OSError as error:
        raise InvalidField(f"{source} cannot be read: {error.strerror}", field="feed") from error


class _ChunkReader(io.RawIOBase):
    """Reads a stream of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with the next bytes. Returns their number, 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

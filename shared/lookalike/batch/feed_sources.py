"""Opens product feeds: files, objects in buckets, and addresses on the web."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from lookalike.bootstrap import Services
from lookalike.domain.errors import InvalidField, NotFound

WEB_SCHEMES = ("https://", "http://")
MAX_NAME = 200


def feed_name(source: str) -> str:
    """Return the name under which the products of a feed are kept: that of the file without its suffix.

    For an address on the web, the host comes before it: many shops name their feed `feed.xml`.
    """
    if source.startswith(WEB_SCHEMES):
        parts = urlsplit(source)
        host = parts.netloc.rpartition("@")[2]
        name = f"{host}/{PurePosixPath(unquote(parts.path)).stem}".rstrip("/")
    else:
        name = PurePosixPath(source).stem
    return re.sub(r"[\s\x00-\x1f\x7f\ud800-\udfff]+", " ", name).strip()[:MAX_NAME].strip() or "feed"


@contextmanager
def open_feed(services: Services, source: str) -> Iterator[BinaryIO]:
    """Open a feed for reading. Raises `NotFound`, `InvalidField`, and the same as `PictureFetcher.fetch`."""
    if source.startswith(WEB_SCHEMES):
        yield io.BytesIO(services.fetch_feed(source))
    elif source.startswith("gs://"):
        bucket, _, path = source.removeprefix("gs://").partition("/")
        if not bucket or not path:
            raise InvalidField(f"{source} is not the address of an object: use gs://bucket/path", field="feed")
        chunks = services.open_store(f"gs://{bucket}").read(path)
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

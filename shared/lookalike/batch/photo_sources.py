"""Where many photographs come from: a folder or a bucket; which there are, which version of each, and its bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from lookalike.domain.errors import InvalidImage, TooLarge
from lookalike.domain.model import StoredObject
from lookalike.domain.ports import ObjectStore
from lookalike.images import MAX_BYTES
from lookalike.usecases.ingest import Source

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif"}
UNSUPPORTED_SUFFIXES = {".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".jp2", ".jxl"}
"""Pictures that are not accepted: reported rather than silently left out."""


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A picture; `read` raises `TooLarge` and what reading it raises."""

    source: Source
    read: Callable[[], bytes]


def list_folder(folder: Path) -> list[PhotoFile]:
    """Every picture below the folder, by name; hidden ones are left out."""
    bucket = f"file:{folder.resolve()}"
    found = sorted(path for path in _walk(folder) if _is_picture(path.suffix))
    names = {path: path.relative_to(folder).as_posix() for path in found}
    return [PhotoFile(Source(bucket, names[path], _version(path)), partial(read_file, path)) for path in found]


def list_bucket(store: ObjectStore, bucket: str, prefix: str) -> list[PhotoFile]:
    """Every picture whose name starts with the prefix, noted as its event would be."""
    found = [one for one in store.list(prefix) if _is_picture(PurePosixPath(one.path).suffix)]
    return [PhotoFile(Source(bucket, one.path, str(one.generation)), partial(_fetch, store, one)) for one in found]


def read_file(path: Path) -> bytes:
    """Raises `TooLarge` before reading, `InvalidImage` for what cannot be read."""
    try:
        _check_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise InvalidImage(f"The file cannot be read: {error.strerror}") from error


def _fetch(store: ObjectStore, there: StoredObject) -> bytes:
    _check_size(there.size)
    return store.get(there.path)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise TooLarge(f"{size:,} bytes: at most {MAX_BYTES:,} are accepted")


def _is_picture(suffix: str) -> bool:
    return suffix.lower() in PHOTO_SUFFIXES | UNSUPPORTED_SUFFIXES


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _version(path: Path) -> str:
    """Changes when the file is written."""
    there = path.stat()
    return f"{there.st_mtime_ns}-{there.st_size}"

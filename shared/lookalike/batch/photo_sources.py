"""List the photographs of a folder or a bucket, with the version and a reader of each."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from lookalike.domain.errors import InvalidField, InvalidImage, TooLarge
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import INCOMING_PREFIX
from lookalike.domain.ports import ObjectStore
from lookalike.images import MAX_BYTES
from lookalike.usecases.ingest import Source

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif"}
UNSUPPORTED_SUFFIXES = {".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".jp2", ".jxl"}
"""Images of formats that are not accepted. They are listed too, so that a run reports them instead of ignoring them."""


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A photo in a folder or bucket. `read` returns its bytes; it raises `TooLarge` before reading too many."""

    source: Source
    read: Callable[[], bytes]


def list_folder(folder: Path) -> list[PhotoFile]:
    """List all images below the folder in order of their paths. Skips hidden files and folders."""
    bucket = f"file:{folder.resolve()}"
    paths = sorted(path for path in _walk(folder) if _is_image(path.suffix))
    names = {path: path.relative_to(folder).as_posix() for path in paths}
    return [PhotoFile(Source(bucket, names[path], _version(path)), partial(read_file, path)) for path in paths]


def list_bucket(store: ObjectStore, bucket: str, prefix: str, own_prefix: str = "") -> list[PhotoFile]:
    """List all images whose names start with the prefix, under the same ledger keys as their storage events.

    `own_prefix` is the prefix of our own store in this bucket, which the names in its events do not have.
    """
    objects = [one for one in store.list(prefix) if _is_image(PurePosixPath(one.path).suffix)]
    return [
        PhotoFile(Source(bucket, one.path.removeprefix(own_prefix), str(one.generation)), partial(_fetch, store, one))
        for one in objects
    ]


def check_own_bucket(bucket: str, prefix: str, own_prefix: str) -> None:
    """Raise `InvalidField` if images that lookalike itself stored in its own bucket have names with the prefix.

    In the store, whose names start with `own_prefix`, only the objects under `incoming/` are photos of others.
    """
    incoming = own_prefix + INCOMING_PREFIX
    is_outside_store = not prefix.startswith(own_prefix) and not own_prefix.startswith(prefix)
    if not (prefix.startswith(incoming) or is_outside_store):
        message = (
            f"gs://{bucket}/{prefix} contains the images that lookalike has stored, which would be stored again. "
            f"Put photos under gs://{bucket}/{incoming} and ingest that, or use another bucket"
        )
        raise InvalidField(message, field="source")


def check_own_folder(folder: Path, own_folder: Path) -> None:
    """Raise `InvalidField` if images that lookalike itself stored in a local folder would be listed."""
    listed, own = folder.resolve(), own_folder.resolve()
    is_inside = listed.is_relative_to(own)
    contains = own.is_relative_to(listed) and not any(_is_hidden(part) for part in own.relative_to(listed).parts)
    if is_inside or contains:
        message = (
            f"{folder} contains the images that lookalike has stored, which would be stored again. Ingest a folder "
            f"beside {own_folder}, or put photos into {own_folder / INCOMING_PREFIX} while `lookalike serve` runs"
        )
        raise InvalidField(message, field="source")


def share_of_task(photos: Iterable[PhotoFile], index: int, count: int) -> list[PhotoFile]:
    """Return the photos that task `index` of `count` ingests: each photo belongs to exactly one task.

    The task depends only on the photo's name and on `count`, so tasks that list the bucket at different times agree.
    """
    return [photo for photo in photos if _name_hash(photo.source.name) % count == index]


def _name_hash(name: str) -> int:
    # file names can have bytes that are not UTF-8, which Python reads as lone surrogates
    return int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest())


def read_file(path: Path) -> bytes:
    """Read a file. Raises `TooLarge` before reading more than `MAX_BYTES`, and `InvalidImage` if it is not readable."""
    try:
        _check_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise InvalidImage(f"The file cannot be read: {error.strerror}") from error


def _fetch(store: ObjectStore, stored: StoredObject) -> bytes:
    _check_size(stored.size)
    return store.get(stored.path)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise TooLarge(f"The file has {size:,} bytes; at most {MAX_BYTES:,} are accepted")


def _is_image(suffix: str) -> bool:
    return suffix.lower() in PHOTO_SUFFIXES | UNSUPPORTED_SUFFIXES


def _walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if _is_hidden(path.name):
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _version(path: Path) -> str:
    """A string that changes when the file is written: a folder has no generation numbers."""
    try:
        status = path.stat()
    except OSError:
        # a broken link, or deleted since it was listed: reported when it is read
        return "unreadable"
    return f"{status.st_mtime_ns}-{status.st_size}"

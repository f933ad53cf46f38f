"""A folder of photographs as a source: which files there are, and which version of each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.domain.errors import InvalidImage, TooLarge
from lookalike.images import MAX_BYTES
from lookalike.usecases.ingest import Source

PHOTOS = {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif"}
OTHERS = {".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".jp2", ".jxl"}
"""Pictures that are not accepted: reported rather than silently left out."""


@dataclass(frozen=True, slots=True)
class File:
    path: Path
    source: Source


def photos(folder: Path) -> list[File]:
    """Every picture below the folder, by name; hidden ones are left out."""
    bucket = f"file:{folder.resolve()}"
    found = sorted(path for path in walk(folder) if path.suffix.lower() in PHOTOS | OTHERS)
    return [File(path, Source(bucket, path.relative_to(folder).as_posix(), version(path))) for path in found]


def walk(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from walk(path)
        else:
            yield path


def version(path: Path) -> str:
    """Changes when the file is written."""
    there = path.stat()
    return f"{there.st_mtime_ns}-{there.st_size}"


def read(path: Path) -> bytes:
    """Raises `TooLarge` before reading, `InvalidImage` for what cannot be read."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise TooLarge(f"{size:,} bytes: at most {MAX_BYTES:,} are accepted")
        return path.read_bytes()
    except OSError as error:
        raise InvalidImage(f"The file cannot be read: {error.strerror}") from error

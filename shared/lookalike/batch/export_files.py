"""The folder of an export: its files and its manifest.

`manifest.json` is written last, so that an interrupted export has none.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from lookalike.batch.export_lines import DECISIONS, DETAILS, GARMENTS, IMAGES, PHOTOS, PRODUCTS
from lookalike.domain.errors import BadRequest, Conflict
from lookalike.domain.model import Vectors
from lookalike.domain.paths import is_valid_path

FORMAT, VERSION = "lookalike export", 1
MANIFEST, UNFINISHED = "manifest.json", "unfinished-export"
FEED, VECTORS_FOLDER, IMAGES_FOLDER = "feed.tsv", "vectors", "images"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of an export."""

    sha256: str
    size: int
    lines: int | None = None


@dataclass(frozen=True, slots=True)
class EmbedderEntry:
    """Vectors of one embedder. The rows of its files, in this order, are those of `garments.jsonl` that have a vector."""

    name: str
    dimension: int
    rows: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportManifest:
    """Contents of an export. `files` are all files by name, except images, which `images.jsonl` lists."""

    format: str
    version: int
    created: datetime
    lookalike: str
    commit: int
    counts: Mapping[str, int]
    embedders: tuple[EmbedderEntry, ...]
    has_images: bool
    files: Mapping[str, FileEntry]


class HashedFile:
    """A file that is written line by line, with its SHA-256. Open inside a `with` statement."""

    def __init__(self, path: Path) -> None:
        self.name, self.lines = path.name, 0
        self._file = path.open("wb")
        self._sha256, self._size = hashlib.sha256(), 0

    def __enter__(self) -> "HashedFile":
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def write(self, line: bytes) -> None:
        """Write a line."""
        self._file.write(line)
        self._sha256.update(line)
        self._size += len(line)
        self.lines += 1

    @property
    def entry(self) -> FileEntry:
        """The entry in the manifest."""
        return FileEntry(self._sha256.hexdigest(), self._size, self.lines)


@dataclass
class VectorFiles:
    """Writes the vectors of one embedder to files `vectors/<number of the embedder>-<number>.npz`."""

    folder: Path
    number: int
    embedder: str
    rows_per_file: int
    rows: int = 0
    dimension: int = 0
    entries: dict[str, FileEntry] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _vectors: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, name: str, vector: NDArray[np.float32]) -> None:
        """Add the vector of a garment."""
        self.dimension = self.dimension or len(vector)
        self._names.append(name)
        self._vectors.append(vector)
        if len(self._names) >= self.rows_per_file:
            self._write()

    def close(self) -> EmbedderEntry:
        """Write the rest and return the entry in the manifest."""
        if self._names:
            self._write()
        return EmbedderEntry(self.embedder, self.dimension, self.rows, tuple(self.entries))

    def _write(self) -> None:
        name = f"{VECTORS_FOLDER}/{self.number}-{len(self.entries):05}.npz"
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        vectors = np.stack(self._vectors).astype("<f4")
        np.savez(path, names=np.array(self._names), vectors=vectors, embedder=np.array(self.embedder))
        self.entries[name] = file_entry(path)
        self.rows += len(self._names)
        self._names, self._vectors = [], []


def read_vectors(folder: Path, embedder: EmbedderEntry) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the names of garments with their unit vectors, in the order of the rows. Raises `BadRequest`."""
    for name in embedder.files:
        names, vectors = _read_npz(folder / name)
        is_valid = vectors.shape == (len(names), embedder.dimension) and np.isfinite(vectors).all()
        if not is_valid or (abs(np.linalg.norm(vectors, axis=1) - 1) > 1e-3).any():
            raise BadRequest(f"{name} does not contain unit vectors with {embedder.dimension} numbers")
        yield from zip(names, vectors, strict=True)


def _read_npz(path: Path) -> tuple[list[str], Vectors]:
    try:
        with np.load(path) as content:
            return content["names"].tolist(), content["vectors"].astype(np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise BadRequest(f"{path.name} cannot be read: {error}") from error


def file_entry(path: Path) -> FileEntry:
    """Return the entry of a file."""
    with path.open("rb") as file:
        return FileEntry(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def begin_export(folder: Path) -> None:
    """Prepare an empty folder. The rest of an interrupted export is deleted. Raises `Conflict` for any other folder."""
    if (folder / MANIFEST).exists():
        raise Conflict(f"{folder} contains a complete export: choose another folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / UNFINISHED).exists():
        raise Conflict(f"{folder} is not empty: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED).touch()
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != UNFINISHED:
            path.unlink()


def finish_export(folder: Path, manifest: ExportManifest) -> None:
    """Write the manifest once everything else is on disk."""
    os.sync()
    temporary = folder / f"{MANIFEST}.tmp"
    with temporary.open("wb") as file:
        file.write(TypeAdapter(ExportManifest).dump_json(manifest, indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    (folder / UNFINISHED).unlink()
    temporary.replace(folder / MANIFEST)


def read_manifest(folder: Path) -> ExportManifest:
    """Return the manifest of an export. Raises `BadRequest` if there is none, or if this version cannot read it."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        has_rest = (folder / UNFINISHED).exists()
        reason = "the export was interrupted; repeat it" if has_rest else "it is not the folder of an export"
        raise BadRequest(f"{folder} has no {MANIFEST}: {reason}") from error
    try:
        version = json.loads(data).get("version")
        if version != VERSION:
            raise BadRequest(f"{folder}: this version of lookalike reads exports of version {VERSION}, not {version}")
        manifest = TypeAdapter(ExportManifest).validate_json(data)
    except (ValueError, AttributeError) as error:
        raise BadRequest(f"{folder / MANIFEST} is damaged") from error
    if manifest.format != FORMAT or not all(map(is_valid_path, manifest.files)):
        raise BadRequest(f"{folder / MANIFEST} is not the manifest of an export")
    return manifest


def verify_files(folder: Path, manifest: ExportManifest) -> None:
    """Compare all files but images with the manifest. Raises `BadRequest` if one is missing or differs."""
    listed = [name for embedder in manifest.embedders for name in embedder.files]
    for name in [PHOTOS, GARMENTS, DETAILS, PRODUCTS, DECISIONS, *([IMAGES] if manifest.has_images else []), *listed]:
        if name not in manifest.files:
            raise BadRequest(f"{folder / MANIFEST} does not list {name}")
    for name, entry in manifest.files.items():
        try:
            found = file_entry(folder / name)
        except FileNotFoundError as error:
            raise BadRequest(f"{folder / name} is missing: the export is incomplete") from error
        if found.sha256 != entry.sha256:
            raise BadRequest(f"{folder / name} differs from the manifest: it was changed or damaged")


def image_file(folder: Path, path: str) -> Path:
    """Return the file of an image. Raises `BadRequest` for a path that could leave the folder."""
    if not is_valid_path(path):
        raise BadRequest(f"{path[:200]!r} is not the path of an image")
    return folder / IMAGES_FOLDER / path


def write_image(file: BinaryIO, chunks: Iterator[bytes]) -> tuple[int, str]:
    """Write an image in pieces. Returns its size and SHA-256."""
    size, sha256 = 0, hashlib.sha256()
    for chunk in chunks:
        file.write(chunk)
        sha256.update(chunk)
        size += len(chunk)
    return size, sha256.hexdigest()

"""Exports the whole catalog to a folder."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

import lookalike
from lookalike.batch import export_lines
from lookalike.batch.export_files import (
    FEED,
    FORMAT,
    VERSION,
    ExportManifest,
    FileEntry,
    HashedFile,
    VectorFiles,
    begin_export,
    finish_export,
    image_file,
    write_image,
)
from lookalike.batch.export_lines import GarmentLine, ImageLine, Lines, PhotoLine, ProductLines
from lookalike.domain.errors import LookalikeError, NotFound
from lookalike.domain.ports import ObjectStore
from lookalike.domain.ports.transfer import CatalogTransfer, TransferSnapshot
from lookalike.domain.product import Product
from lookalike.domain.stored_product import StoredProduct
from lookalike.domain.transfer import TransferPhoto
from lookalike.usecases.thread_pool import map_concurrently

ROWS_PER_FILE = 4_096
"""Vectors in one file: 32 MiB of 2,048 numbers each."""
IMAGES_AT_A_TIME = 64
T = TypeVar("T")
OnProgress = Callable[[int, str], object]
"""Called with the steps since the last call, and what they are."""


@dataclass
class CatalogExport:
    """One export. Memory does not grow with the number of rows."""

    catalog: CatalogTransfer
    store: ObjectStore
    folder: Path
    with_images: bool
    open_progress: Callable[[int], OnProgress] = lambda length: lambda steps, label: None
    """Called once with the number of steps."""
    _files: dict[str, FileEntry] = field(default_factory=dict)
    _vectors: dict[str, VectorFiles] = field(default_factory=dict)
    _extra_columns: set[str] = field(default_factory=set)

    def run(self) -> ExportManifest:
        """Write everything. The manifest comes last, so that an interrupted export is not taken for a complete one.

        Raises `Conflict` for a folder that is not empty, and `Unavailable`.
        """
        begin_export(self.folder)
        with self.catalog.transfer_snapshot() as snapshot:
            counts = asdict(snapshot.counts())
            rows = counts["garments"] + counts["details"] + counts["products"]
            self._progress = self.open_progress(rows + self.with_images * counts["garments"])
            expected = counts["garments"]
            counts |= self._write_rows(snapshot)
            if counts["garments"] != expected:
                raise LookalikeError(f"{counts['garments']} of {expected} garments could be read: nothing is exported")
            commit = snapshot.last_commit
        # without the transaction: copying images can take hours
        if self.with_images:
            counts |= self._write_images()
        manifest = ExportManifest(
            FORMAT,
            VERSION,
            datetime.now(UTC),
            lookalike.__version__,
            commit,
            counts,
            tuple(files.close() for files in self._vectors.values()),
            self.with_images,
            self._files | {name: entry for one in self._vectors.values() for name, entry in one.entries.items()},
        )
        finish_export(self.folder, manifest)
        return manifest

    def _write_rows(self, snapshot: TransferSnapshot) -> dict[str, int]:
        counts = self._write_photos(snapshot.photos())
        self._write_lines(export_lines.details_lines(), self._counted(snapshot.details(), "details"))
        self._write_lines(ProductLines(), self._counted(self._with_columns(snapshot), "products"))
        self._write_lines(export_lines.decision_lines(), snapshot.decisions())
        return counts | {"feed_products": self._write_feed(snapshot)}

    def _write_photos(self, photos: Iterator[TransferPhoto]) -> dict[str, int]:
        """Write photos, garments and vectors in one pass."""
        photo_lines, garment_lines = export_lines.photo_lines(), export_lines.garment_lines()
        with self._open(photo_lines.name) as photo_file, self._open(garment_lines.name) as garment_file:
            for found in photos:
                photo_file.write(photo_lines.encode(PhotoLine.of(found)))
                for garment in found.garments:
                    garment_file.write(garment_lines.encode(GarmentLine.of(garment.segment, garment.embedder)))
                    for embedder, vector in garment.vectors.items():
                        self._files_of(embedder).add(garment.segment.name, vector)
                self._progress(len(found.garments), "garments")
        return {"photos": photo_file.lines, "garments": garment_file.lines}

    @contextmanager
    def _open(self, name: str) -> Iterator[HashedFile]:
        """Open a file for writing, and enter it in the manifest at the end."""
        with HashedFile(self.folder / name) as file:
            yield file
        self._files[name] = file.entry

    def _files_of(self, embedder: str) -> VectorFiles:
        if embedder not in self._vectors:
            self._vectors[embedder] = VectorFiles(self.folder, len(self._vectors), embedder, ROWS_PER_FILE)
        return self._vectors[embedder]

    def _with_columns(self, snapshot: TransferSnapshot) -> Iterator[StoredProduct]:
        for stored in snapshot.products():
            self._extra_columns.update(stored.product.extra)
            yield stored

    def _counted(self, items: Iterable[T], label: str) -> Iterator[T]:
        for item in items:
            yield item
            self._progress(1, label)

    def _write_lines(self, lines: Lines[T], values: Iterable[T]) -> None:
        with self._open(lines.name) as file:
            for value in values:
                file.write(lines.encode(value))

    def _write_feed(self, snapshot: TransferSnapshot) -> int:
        """Write the products that shops still have. Returns their number."""
        from lookalike.adapters.product_feeds import write_feed

        products: Iterator[Product] = (one.product for one in snapshot.products() if one.gone is None)
        with self._open(FEED) as file:
            for line in write_feed(products, sorted(self._extra_columns)):
                file.write(line.encode())
        # the first line has the names of the columns
        return file.lines - 1

    def _write_images(self) -> dict[str, int]:
        """Copy the images of the exported rows. Images of garments that were deleted meanwhile are missing."""
        lines, missing, paths = export_lines.image_lines(), 0, image_paths(self.folder)
        with self._open(lines.name) as file, closing(paths):
            while page := list(islice(paths, IMAGES_AT_A_TIME)):
                for copied in map_concurrently(self._copy_image, [path for path, _ in page]):
                    if copied is None:
                        missing += 1
                    else:
                        file.write(lines.encode(copied))
                self._progress(sum(is_last for _, is_last in page), "images")
        return {"images": file.lines, "missing_images": missing}

    def _copy_image(self, path: str) -> ImageLine | None:
        target = image_file(self.folder, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("wb") as file:
                return ImageLine(path, *write_image(file, iter(self.store.read(path))))
        except NotFound:
            target.unlink()
            return None


def image_paths(folder: Path) -> Generator[tuple[str, bool], None, None]:
    """Yield the paths of all images in the order of `images.jsonl`, and whether each is the last one of a garment.

    The order is: the photo, then image and thumbnail of each of its garments.
    """
    garments = export_lines.garment_lines().read(folder)
    garment = next(garments, None)
    for photo in export_lines.photo_lines().read(folder):
        if photo.path:
            yield photo.path, False
        while garment and garment.photo == photo.name:
            yield garment.path, garment.thumbnail is None
            if garment.thumbnail:
                yield garment.thumbnail, True
            garment = next(garments, None)

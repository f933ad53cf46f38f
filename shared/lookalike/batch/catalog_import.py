"""Reads the folder of an export for its import."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.batch import export_lines
from lookalike.batch.export_files import (
    ExportManifest,
    image_file,
    read_manifest,
    read_vectors,
    verify_files,
)
from lookalike.batch.export_lines import GarmentLine, ImageLine, PhotoLine, ProductLines
from lookalike.bootstrap import Services
from lookalike.domain.errors import BadRequest, InvalidImage
from lookalike.domain.model import ProductDetails
from lookalike.domain.stored_product import StoredProduct
from lookalike.domain.transfer import ImportedPhoto, TransferDecision, TransferGarment, TransferPhoto
from lookalike.usecases.import_catalog import ImportReport
from lookalike.usecases.upload import sha256_hex

T = TypeVar("T")


def import_folder(
    services: Services,
    folder: Path,
    open_progress: Callable[[int], Callable[[int], object]] = lambda length: lambda steps: None,
) -> ImportReport:
    """Import the export in a folder.

    `open_progress` is called once with the number of entries, and its result with the number of those processed since
    the last call. Raises `BadRequest` for a folder that is incomplete or damaged, before anything is stored, and the
    same as `ImportCatalog.run`.
    """
    manifest = read_manifest(folder)
    verify_files(folder, manifest)
    counts, done = manifest.counts, 0
    progress = open_progress(sum(counts.get(name, 0) for name in ("photos", "details", "products", "decisions")))

    def show(report: ImportReport) -> None:
        nonlocal done
        progress(report.done - done)
        done = report.done

    dimensions = {embedder.name: embedder.dimension for embedder in manifest.embedders}
    return services.import_catalog.run(ExportFolder(folder, manifest), dimensions, show)


class ExportFolder:
    """An export as the source of an import. Its files have been verified, but for the images."""

    def __init__(self, folder: Path, manifest: ExportManifest) -> None:
        self._folder, self._manifest = folder, manifest

    def photos(self) -> Iterator[ImportedPhoto]:
        """Yield the photos with their garments, vectors and images. Raises `BadRequest` if the files do not agree."""
        garments = _Peekable(export_lines.garment_lines().read(self._folder))
        vectors = {one.name: _Peekable(read_vectors(self._folder, one)) for one in self._manifest.embedders}
        images = _Peekable(export_lines.image_lines().read(self._folder) if self._manifest.has_images else iter(()))
        for line in export_lines.photo_lines().read(self._folder):
            photo = _read_photo(line, garments, vectors)
            without_images = ImportedPhoto(photo, {})
            yield ImportedPhoto(photo, dict(self._read_images(without_images.paths, images)))
        if garments.next or images.next or any(rest.next for rest in vectors.values()):
            raise BadRequest("The files of the export do not agree: garments, vectors or images are left over")

    def details(self) -> Iterator[ProductDetails]:
        """Yield all product details."""
        return export_lines.details_lines().read(self._folder)

    def products(self) -> Iterator[StoredProduct]:
        """Yield all products."""
        return ProductLines().read(self._folder)

    def decisions(self) -> Iterator[TransferDecision]:
        """Yield all decisions about duplicates."""
        return export_lines.decision_lines().read(self._folder)

    def _read_images(
        self, paths: list[str], images: "_Peekable[ImageLine]"
    ) -> Iterator[tuple[str, Callable[[], bytes]]]:
        for path in paths:
            if images.next and images.next.path == path:
                yield path, partial(_read_image, self._folder, images.take())


def _read_photo(
    line: PhotoLine,
    garments: "_Peekable[GarmentLine]",
    vectors: "dict[str, _Peekable[tuple[str, NDArray[np.float32]]]]",
) -> TransferPhoto:
    found = []
    while garments.next and garments.next.photo == line.name:
        garment = garments.take()
        own = {name: one.take()[1] for name, one in vectors.items() if one.next and one.next[0] == garment.name}
        if garment.embedder is not None and garment.embedder not in own:
            raise BadRequest(f"The files of the export do not agree: {garment.name} has no vector")
        found.append(TransferGarment(garment.to_segment(), garment.embedder, own))
    if not found:
        raise BadRequest(f"The files of the export do not agree: the photo {line.name} has no garment")
    return TransferPhoto(line.name, line.to_photo(), line.created, tuple(found))


def _read_image(folder: Path, image: ImageLine) -> bytes:
    """Return an image. Raises `InvalidImage` if it is missing or differs from its line in `images.jsonl`."""
    try:
        data = image_file(folder, image.path).read_bytes()
    except FileNotFoundError as error:
        raise InvalidImage(f"the image {image.path} of the export is missing") from error
    if sha256_hex(data) != image.sha256:
        raise InvalidImage(f"the image {image.path} of the export is damaged")
    return data


class _Peekable(Generic[T]):
    """Iterates with a view of the next item, which is `None` at the end."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self.next = next(items, None)

    def take(self) -> T:
        """Return the next item and advance."""
        item = self.next
        assert item is not None, "called while there is a next item"
        self.next = next(self._items, None)
        return item

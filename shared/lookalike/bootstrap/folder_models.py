"""Load models from folders with ONNX files (EMBEDDER=folder:…, DETECTOR=folder:…), local or in a bucket."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.domain.errors import Misconfigured, NotFound
from lookalike.domain.model import Calibration
from lookalike.domain.ports import Detector, Embedder, ObjectStore

if TYPE_CHECKING:
    from lookalike.adapters.folder_models.manifest import Kind, Manifest
    from lookalike.adapters.onnx import RunCounter

log = logging.getLogger("lookalike.bootstrap.folder_models")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder and its manifest. `location` is a path or `gs://…`, which `bucket` opens."""

    location: str
    manifest: "Manifest"
    bucket: ObjectStore | None = None

    @property
    def name_and_dim(self) -> tuple[str, int]:
        """Name and vector length of an embedder."""
        return self.manifest.name, self.manifest.dim

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of an embedder's similarities, or `None` if it has no calibration."""
        return self.manifest.calibration.to_domain() if self.manifest.calibration else None


def find_folder(location: str, kind: "Kind", open_store: Callable[[str], ObjectStore]) -> ModelFolder:
    """Read the manifest of the model folder at `location`, a path or `gs://…`. Opens no network.

    Raises `Misconfigured` if the manifest is missing or invalid.
    """
    from lookalike.adapters.folder_models import manifest

    if not location.startswith("gs:"):
        return ModelFolder(location, manifest.read_manifest(Path(location), kind))
    bucket = open_store(location)
    try:
        content = bucket.get(manifest.MANIFEST_FILE)
    except NotFound as error:
        raise manifest.missing_manifest(location) from error
    return ModelFolder(location, manifest.parse_manifest(content, location, kind), bucket)


@contextmanager
def verified_files(folder: ModelFolder) -> Iterator[Path]:
    """Give a local folder with the files of the manifest, after checking their SHA-256.

    Files from a bucket are downloaded and deleted at the end of the context: on Cloud Run, files are memory.
    Raises `Misconfigured` if a file is missing or differs.
    """
    from lookalike.adapters.folder_models.manifest import verify_files

    with tempfile.TemporaryDirectory(prefix="lookalike-models-") as downloads:
        if folder.bucket is not None:
            _download(folder.bucket, folder.manifest.files, Path(downloads), folder.location)
        path = Path(downloads if folder.bucket is not None else folder.location)
        verify_files(path, folder.manifest, folder.location)
        yield path


def open_folder_embedder(folder: ModelFolder, runs: "RunCounter") -> Embedder:
    """Load the embedder of a folder. It is a `TextEmbedder` if the folder has a text model.

    Raises `Misconfigured` if anything in the folder is missing, changed or not supported.
    """
    from lookalike.adapters.folder_models.embedder import open_embedder, require_pinned
    from lookalike.adapters.folder_models.embedder_files import find_embedder_files

    started, manifest = time.monotonic(), folder.manifest
    with verified_files(folder) as path:
        require_pinned(find_embedder_files(path, manifest.variant), manifest.files)
        embedder = open_embedder(path, manifest.variant, manifest.name, manifest.dim, runs)
    seconds = round(time.monotonic() - started, 3)
    log.info("Embedder of a folder loaded", extra={"embedder": embedder.name, "seconds": seconds})
    return embedder


def open_folder_detector(folder: ModelFolder, runs: "RunCounter") -> Detector:
    """Load the detector of a folder, and run it once.

    Raises `Misconfigured` if anything in the folder is missing, changed or not supported.
    """
    from lookalike.adapters.folder_models.detector import open_detector

    started = time.monotonic()
    with verified_files(folder) as path:
        detector = open_detector(path, folder.manifest, folder.location, runs)
    seconds = round(time.monotonic() - started, 3)
    extra = {"detector": folder.manifest.name, "device": detector.device, "seconds": seconds}
    log.info("Detector of a folder loaded", extra=extra)
    return detector


def _download(bucket: ObjectStore, names: Iterable[str], to: Path, location: str) -> None:
    """Download files in parallel. The store also splits each file into ranges that it reads in parallel."""
    with ThreadPoolExecutor() as pool:
        try:
            list(pool.map(lambda name: _download_file(bucket, name, to / name), names))
        except NotFound as error:
            raise Misconfigured(
                f"A file is missing in {location} ({error.message}): upload the whole folder"
            ) from error


def _download_file(bucket: ObjectStore, name: str, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    with to.open("wb") as file:
        file.writelines(bucket.read(name))

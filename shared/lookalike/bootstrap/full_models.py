"""Load the full models (MODELS=full): fetch the weights, verify them, build the networks.

Imported only for MODELS=full, since it needs the extra `[full]`.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.adapters import weights
from lookalike.adapters.weights import DETECTOR, DINOV2, FETCH_COMMAND, RESNET50, VOCABULARY, WeightFile
from lookalike.domain.errors import Misconfigured, NotFound
from lookalike.domain.model import ORIGINAL_DIM, ORIGINAL_EMBEDDER
from lookalike.domain.ports import Detector, Embedder, ObjectStore
from lookalike.settings import Settings

if TYPE_CHECKING:
    from lookalike.adapters.pytorch import Engine

log = logging.getLogger("lookalike.bootstrap.full_models")
MISSING_EXTRA = "MODELS=full needs the extra `full`: pip install 'lookalike[full]'"
GPU_BATCH_WAIT = 0.005
"""Seconds that a batch on a GPU waits for more requests of the same size. On a CPU, batches are not faster, so nothing waits."""


@dataclass(frozen=True, slots=True)
class KnownEmbedder:
    """A value of the setting EMBEDDER.

    `name` is stored with its vectors, `dim` is their length, and `module` is the adapter module with `open_network`.
    """

    name: str
    dim: int
    file: WeightFile
    module: str


EMBEDDERS = {
    "resnet50": KnownEmbedder(ORIGINAL_EMBEDDER, ORIGINAL_DIM, RESNET50, "resnet50"),
    "dinov2": KnownEmbedder("dinov2-vits14-lvd142m", 384, DINOV2, "dinov2"),
}


@dataclass(slots=True)
class StartupTimer:
    """Measures how long each step of loading took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure the enclosed block under `name`."""
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 3)


def open_models(settings: Settings, bucket: ObjectStore | None) -> tuple[Detector | None, Embedder | None]:
    """Load the detector and the embedder, without a first inference. `None` for one that the settings replace.

    Reads the weights from the folder MODELS_DIR, or downloads them from `bucket`.
    Raises `Misconfigured` if weights or libraries are missing or fail their checksum.
    """
    steps, files = StartupTimer(), required_files(settings)
    # Importing torch takes seconds, so the weights are fetched and verified on a thread meanwhile. Cloud Run keeps
    # files in memory: the folder is deleted when loading ends. Weights that are mapped into memory stay mapped.
    # The pool ends before the folder is deleted, so that no download writes into it meanwhile.
    with tempfile.TemporaryDirectory(prefix="lookalike-models-") as downloads, ThreadPoolExecutor(1) as pool:
        folder = pool.submit(lambda: locate_weights(settings, files, bucket, Path(downloads), steps))
        with steps.step("imports"):
            import_libraries()
        models = build_models(settings, folder.result(), steps)
    name = models[1].name if models[1] else None
    log.info("Models loaded", extra={"embedder": name, "steps": steps.seconds})
    return models


def required_files(settings: Settings) -> list[WeightFile]:
    """List the weight files that these settings need. Checksums in MODELS_SHA256 replace the published ones."""
    of_detector = () if settings.detector_folder else (DETECTOR, VOCABULARY)
    of_embedder = (EMBEDDERS[settings.full_embedder].file,) if settings.full_embedder else ()
    files = (*of_detector, *of_embedder)
    return weights.expected_files(files, settings.other_weights)


def locate_weights(
    settings: Settings,
    files: Sequence[WeightFile],
    bucket: ObjectStore | None,
    download_folder: Path,
    steps: StartupTimer,
) -> Path:
    """Return the folder with the verified weights. Weights from a bucket are downloaded into `download_folder` first."""
    folder = download_folder if bucket else Path(settings.weights)
    if bucket:
        with steps.step("pulling weights"):
            pull_weights(bucket, files, folder, settings.weights)
    with steps.step("checking weights"):
        weights.verify_files(files, folder)
    return folder


def pull_weights(bucket: ObjectStore, files: Sequence[WeightFile], folder: Path, location: str) -> None:
    """Download all files in parallel. The store also splits each file into ranges that it reads in parallel."""
    with ThreadPoolExecutor() as pool:
        try:
            for _ in pool.map(lambda file: _download(bucket, file.name, folder / file.name), files):
                pass
        except NotFound as error:
            raise Misconfigured(
                f"Weights are missing in {location} ({error.message}); run `{FETCH_COMMAND}` to fetch them"
            ) from error


def import_libraries() -> None:
    """Import torch and tokenizers. Raises `Misconfigured` if the extra `[full]` is not installed."""
    try:
        for name in ("torch", "torchvision.models", "tokenizers"):
            import_module(name)
    except ImportError as error:
        raise Misconfigured(f"{MISSING_EXTRA} ({error})") from error


def build_models(settings: Settings, folder: Path, steps: StartupTimer) -> tuple[Detector | None, Embedder | None]:
    """Build the networks from the verified weights in `folder`. `None` for one that the settings replace."""
    from lookalike.adapters.pytorch import Engine

    with steps.step("device"):
        device = Device(Engine.start(settings.precision), threading.Lock())
    detector: Detector | None = None
    embedder: Embedder | None = None
    if not settings.detector_folder:
        with steps.step("detector"):
            detector = _build_detector(settings, folder, device)
    if settings.full_embedder:
        with steps.step("embedder"):
            embedder = _build_embedder(settings, folder, device)
    log.info("Models run on the device", extra={"device": str(device.engine)})
    return detector, embedder


@dataclass(frozen=True, slots=True)
class Device:
    """The device that both networks compute on, and the lock that they share."""

    engine: "Engine"
    lock: threading.Lock

    @property
    def batch_wait(self) -> float:
        """Seconds that a batch waits for more requests."""
        return GPU_BATCH_WAIT if self.engine.on_gpu else 0.0


def _build_detector(settings: Settings, folder: Path, device: Device) -> Detector:
    from lookalike.adapters.grounding_dino.detector import GroundingDinoDetector
    from lookalike.adapters.grounding_dino.phrases import PROMPT

    files, prompt = (folder / DETECTOR.name, folder / VOCABULARY.name), settings.prompt or PROMPT
    return GroundingDinoDetector(*files, device.engine, device.lock, prompt, device.batch_wait)


def _build_embedder(settings: Settings, folder: Path, device: Device) -> Embedder:
    from lookalike.adapters.crops import CropEmbedder

    known = EMBEDDERS[settings.full_embedder]
    module = import_module(f"lookalike.adapters.{known.module}")
    network = module.open_network(folder / known.file.name, device.engine)
    return CropEmbedder(network, *embedder_name_and_dim(settings), device.engine, device.lock, device.batch_wait)


def embedder_name_and_dim(settings: Settings) -> tuple[str, int]:
    """Return the name and vector length of the full models' embedder without loading it.

    If MODELS_SHA256 replaces the embedder's weights, the name contains their checksum: their vectors must never be
    compared with vectors of the published weights.
    """
    known = EMBEDDERS[settings.full_embedder]
    other = settings.other_weights.get(known.file.name, known.file.sha256)
    return (known.name if other == known.file.sha256 else f"{known.module}-{other[:12]}"), known.dim


def _download(bucket: ObjectStore, path: str, to: Path) -> None:
    with to.open("wb") as file:
        file.writelines(bucket.read(path))

"""The full models, from weights to ready: part of `bootstrap`, which imports it only where MODELS=full."""

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

from lookalike.adapters import weights
from lookalike.adapters.weights import COMMAND, DETECTOR, DINOV2, RESNET50, VOCABULARY, WeightFile
from lookalike.domain.errors import Misconfigured, NotFound
from lookalike.domain.model import ORIGINAL_DIM, ORIGINAL_EMBEDDER
from lookalike.domain.ports import Detector, Embedder, ObjectStore
from lookalike.settings import Settings

log = logging.getLogger("lookalike.full")
EXTRA = "MODELS=full needs the extra `full`: pip install 'lookalike[full]'"
WAIT = 0.005
"""Seconds that a GPU waits for more of the same, so that it works on several at once."""


@dataclass(frozen=True, slots=True)
class Known:
    """An embedder that EMBEDDER may name: its vectors' name and length, its weights, and the module that opens its network."""

    name: str
    dim: int
    file: WeightFile
    module: str


EMBEDDERS = {
    "resnet50": Known(ORIGINAL_EMBEDDER, ORIGINAL_DIM, RESNET50, "resnet50"),
    "dinov2": Known("dinov2-vits14-lvd142m", 384, DINOV2, "dinov2"),
}


@dataclass(slots=True)
class Steps:
    """How long each step of the start took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 3)


def open_models(settings: Settings, bucket: ObjectStore | None) -> tuple[Detector, Embedder]:
    """Loaded, not yet warm. The weights lie in the folder MODELS_DIR, or come from the bucket that it names.

    Raises `Misconfigured` where weights or libraries are missing or others than expected.
    """
    steps, files = Steps(), files_of(settings)
    # the weights are read and checked while the libraries are imported
    # what is pulled goes when this ends, well or not: files are memory there, and what is used of them stays mapped
    with ThreadPoolExecutor(1) as pool, tempfile.TemporaryDirectory(prefix="lookalike-models-") as empty:
        folder = pool.submit(lambda: at_hand(settings, files, bucket, Path(empty), steps))
        with steps.step("imports"):
            import_libraries()
        models = build(settings, folder.result(), steps)
    log.info("Models loaded", extra={"embedder": models[1].name, "steps": steps.seconds})
    return models


def files_of(settings: Settings) -> list[WeightFile]:
    """The weights that these settings need."""
    files = (DETECTOR, VOCABULARY, EMBEDDERS[settings.embedder].file)
    return weights.expected(files, settings.other_weights)


def at_hand(
    settings: Settings, files: Sequence[WeightFile], bucket: ObjectStore | None, empty: Path, steps: Steps
) -> Path:
    """The folder of the weights, checked: the `empty` one, filled, where they come from a bucket."""
    folder = empty if bucket else Path(settings.weights)
    if bucket:
        with steps.step("pulling weights"):
            pull(bucket, files, folder, settings.weights)
    with steps.step("checking weights"):
        weights.checked(files, folder)
    return folder


def pull(bucket: ObjectStore, files: Sequence[WeightFile], folder: Path, place: str) -> None:
    """All files side by side, each in parts side by side."""
    with ThreadPoolExecutor() as pool:
        try:
            for _ in pool.map(lambda file: _download(bucket, file.name, folder / file.name), files):
                pass
        except NotFound as error:
            raise Misconfigured(f"Not all weights are in {place} ({error.message}); `{COMMAND}` gets them") from error


def import_libraries() -> None:
    try:
        for name in ("torch", "torchvision.models", "tokenizers"):
            import_module(name)
    except ImportError as error:
        raise Misconfigured(f"{EXTRA} ({error})") from error


def build(settings: Settings, folder: Path, steps: Steps) -> tuple[Detector, Embedder]:
    from lookalike.adapters.crops import CropEmbedder
    from lookalike.adapters.grounding_dino.detector import GroundingDinoDetector
    from lookalike.adapters.grounding_dino.phrases import PROMPT
    from lookalike.adapters.pytorch import Engine

    with steps.step("device"):
        engine, turn = Engine.start(settings.precision), threading.Lock()
    wait = WAIT if engine.on_gpu else 0.0
    with steps.step("detector"):
        detector = GroundingDinoDetector(
            folder / DETECTOR.name, folder / VOCABULARY.name, engine, turn, settings.prompt or PROMPT, wait
        )
    with steps.step("embedder"):
        known = EMBEDDERS[settings.embedder]
        opened = import_module(f"lookalike.adapters.{known.module}").open_network(folder / known.file.name, engine)
        embedder = CropEmbedder(opened, *vectors_of(settings), engine, turn, wait)
    log.info("Models run on %s", engine)
    return detector, embedder


def vectors_of(settings: Settings) -> tuple[str, int]:
    """The embedder's name, and how many numbers it gives, without loading it.

    Other weights have another name: their vectors must never be compared with the original's.
    """
    known = EMBEDDERS[settings.embedder]
    other = settings.other_weights.get(known.file.name, known.file.sha256)
    return (known.name if other == known.file.sha256 else f"{known.module}-{other[:12]}"), known.dim


def _download(bucket: ObjectStore, path: str, to: Path) -> None:
    with to.open("wb") as file:
        file.writelines(bucket.read(path))

"""Build the detector and embedder that the settings name."""

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import lookalike
from lookalike.domain.model import Calibration
from lookalike.domain.ports import Detector, Embedder, ObjectStore, TextEmbedder
from lookalike.settings import Settings
from lookalike.usecases.models import Models

if TYPE_CHECKING:
    from lookalike.adapters.onnx import RunCounter
    from lookalike.bootstrap.folder_models import ModelFolder

log = logging.getLogger("lookalike.bootstrap")
WEIGHTS = Path(lookalike.__file__).parent / "weights"
"""The built-in models' weights and calibration, part of the package."""


def open_models(
    settings: Settings,
    weights_bucket: ObjectStore | None,
    detector_folder: "ModelFolder | None" = None,
    embedder_folder: "ModelFolder | None" = None,
) -> Models:
    """Load the detector and the embedder behind one admission queue.

    `weights_bucket` contains the full models' weights if MODELS_DIR names a bucket. The folders are those of DETECTOR
    and EMBEDDER; each replaces a model of MODELS.
    """
    from lookalike.adapters.onnx import RunCounter

    runs, max_waiting = RunCounter(), settings.models_queue or settings.concurrency
    detector, embedder = _open_folder_models(detector_folder, embedder_folder, runs)
    # one call on each core: a call alone cannot keep all cores busy
    max_concurrency = os.cpu_count() or 1
    if detector is None or embedder is None:
        if settings.models == "full":
            from lookalike.bootstrap import full_models

            own_detector, own_embedder = full_models.open_models(settings, weights_bucket)
            # the full models combine concurrent calls into batches, so all admitted calls may run concurrently
            max_concurrency = max_waiting
        else:
            own_detector, own_embedder = _open_compact_models(detector is None, embedder is None, runs)
        detector, embedder = detector or own_detector, embedder or own_embedder
    assert detector is not None and embedder is not None
    return Models(detector, embedder, max_waiting, max_concurrency, _as_text_embedder(embedder))


def _open_folder_models(
    detector_folder: "ModelFolder | None", embedder_folder: "ModelFolder | None", runs: "RunCounter"
) -> tuple[Detector | None, Embedder | None]:
    """Load the models of folders. `None` stands for a model that MODELS names."""
    from lookalike.bootstrap import folder_models

    detector = folder_models.open_folder_detector(detector_folder, runs) if detector_folder else None
    embedder = folder_models.open_folder_embedder(embedder_folder, runs) if embedder_folder else None
    return detector, embedder


def _open_compact_models(
    needs_detector: bool, needs_embedder: bool, runs: "RunCounter"
) -> tuple[Detector | None, Embedder | None]:
    from lookalike.adapters.compact_detector import CompactDetector
    from lookalike.adapters.compact_embedder import CompactEmbedder

    started = time.monotonic()
    detector = CompactDetector(WEIGHTS / "detector.onnx", runs=runs) if needs_detector else None
    embedder = CompactEmbedder(WEIGHTS / "embedder.onnx", runs=runs) if needs_embedder else None
    name = embedder.name if embedder else None
    log.info("Models loaded", extra={"seconds": round(time.monotonic() - started, 3), "embedder": name})
    return detector, embedder


def _as_text_embedder(embedder: Embedder) -> TextEmbedder | None:
    """Return the embedder if it maps texts to vectors as well."""
    return cast(TextEmbedder, embedder) if hasattr(embedder, "embed_texts") else None


def embedder_name_and_dim(settings: Settings, folder: "ModelFolder | None" = None) -> tuple[str, int]:
    """Return the embedder's name and vector length without loading it. An index build needs nothing else of it.

    `folder` is that of EMBEDDER, or `None` if the embedder is that of MODELS.
    """
    if folder is not None:
        return folder.name_and_dim
    if settings.models == "full":
        from lookalike.bootstrap import full_models

        return full_models.embedder_name_and_dim(settings)
    from lookalike.adapters.compact_embedder import CompactEmbedder

    return CompactEmbedder.name, CompactEmbedder.dim


def read_calibration(embedder: str, folder: "ModelFolder | None" = None) -> Calibration | None:
    """Return the calibration of this embedder's similarities, or `None` if the embedder has no calibration.

    `folder` is that of EMBEDDER, or `None` if the embedder is that of MODELS.
    """
    if folder is not None:
        return folder.calibration
    stored = json.loads((WEIGHTS / "calibration.json").read_text())
    if stored["embedder"] != embedder:
        return None
    return Calibration(stored["slope"], stored["offset"], stored["copies"])

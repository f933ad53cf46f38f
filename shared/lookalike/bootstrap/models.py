"""Build the detector and embedder that the settings name."""

import json
import logging
import os
import time
from pathlib import Path

import lookalike
from lookalike.domain.model import Calibration
from lookalike.domain.ports import Detector, Embedder, ObjectStore
from lookalike.settings import Settings
from lookalike.usecases.models import Models

log = logging.getLogger("lookalike.bootstrap")
WEIGHTS = Path(lookalike.__file__).parent / "weights"
"""The built-in models' weights and calibration, part of the package."""


def open_models(settings: Settings, weights_bucket: ObjectStore | None) -> Models:
    """Load the detector and the embedder behind one admission queue.

    `weights_bucket` contains the full models' weights if MODELS_DIR names a bucket.
    """
    max_waiting = settings.models_queue or settings.concurrency
    if settings.models == "full":
        from lookalike.bootstrap import full_models

        # the full models combine concurrent calls into batches, so all admitted calls may run concurrently
        return Models(*full_models.open_models(settings, weights_bucket), max_waiting, max_concurrency=max_waiting)
    # one call on each core: a call alone cannot keep all cores busy
    return Models(*_open_compact_models(), max_waiting, max_concurrency=os.cpu_count() or 1)


def _open_compact_models() -> tuple[Detector, Embedder]:
    from lookalike.adapters.compact_detector import CompactDetector
    from lookalike.adapters.compact_embedder import CompactEmbedder
    from lookalike.adapters.onnx import RunCounter

    started, runs = time.monotonic(), RunCounter()
    detector = CompactDetector(WEIGHTS / "detector.onnx", runs=runs)
    embedder = CompactEmbedder(WEIGHTS / "embedder.onnx", runs=runs)
    log.info("Models loaded", extra={"seconds": round(time.monotonic() - started, 3), "embedder": embedder.name})
    return detector, embedder


def embedder_name_and_dim(settings: Settings) -> tuple[str, int]:
    """Return the embedder's name and vector length without loading it. An index build needs nothing else of it."""
    if settings.models == "full":
        from lookalike.bootstrap import full_models

        return full_models.embedder_name_and_dim(settings)
    from lookalike.adapters.compact_embedder import CompactEmbedder

    return CompactEmbedder.name, CompactEmbedder.dim


def read_calibration(embedder: str) -> Calibration | None:
    """Return the calibration of this embedder's similarities, or `None` if the embedder has no calibration."""
    stored = json.loads((WEIGHTS / "calibration.json").read_text())
    if stored["embedder"] != embedder:
        return None
    return Calibration(stored["slope"], stored["offset"], stored["copies"])

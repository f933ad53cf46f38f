"""Detects and embeds photos with the built-in models of the `lookalike` package on PYTHONPATH, for `generations.py`.

Reads the path of a photo from each input line, and answers with a line of JSON. It uses only what both generations have.
"""

import base64
import json
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lookalike
from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Detection

WEIGHTS = Path(lookalike.__file__).parent / "weights"
THREADS = 2


def full_mask(detection: Detection, size: tuple[int, int]) -> bytes:
    """Return the opacity (H, W) of the garment on the whole photo, as bytes."""
    left, top, right, bottom = detection.box.pixel_bounds(*size)
    assert detection.mask is not None
    alpha = Image.fromarray(detection.mask).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    full = Image.new("L", size, 0)
    full.paste(alpha, (left, top))
    return full.tobytes()


def process(detector: CompactDetector, embedder: CompactEmbedder, path: str) -> dict[str, Any]:
    """Return what the models make of a photo, the vector of its largest garment, and the seconds that it took."""
    photo = Image.open(path).convert("RGB")
    times, cpu_started = [time.perf_counter()], time.process_time()
    detections = detector.detect(photo, CancelToken())
    times.append(time.perf_counter())
    rows = embedder.embed([detection.cut_out(photo) for detection in detections], CancelToken())
    times.append(time.perf_counter())
    cpu = time.process_time() - cpu_started
    if not detections:
        rows = embedder.embed([photo], CancelToken())
    areas = [detection.box.area for detection in detections]
    return {
        "size": photo.size,
        "boxes": [detection.box.as_list() for detection in detections],
        "labels": [detection.label for detection in detections],
        "masks": [base64.b64encode(zlib.compress(full_mask(one, photo.size), 1)).decode() for one in detections],
        "vector": rows[int(np.argmax(areas)) if areas else 0].tolist(),
        "seconds": [times[1] - times[0], times[2] - times[1], cpu],
    }


def main() -> None:
    """Answer each line of the input until it ends."""
    detector, embedder = (
        CompactDetector(WEIGHTS / "detector.onnx", THREADS),
        CompactEmbedder(WEIGHTS / "embedder.onnx", THREADS),
    )
    for line in sys.stdin:
        print(json.dumps(process(detector, embedder, line.rstrip("\n"))), flush=True)


if __name__ == "__main__":
    main()

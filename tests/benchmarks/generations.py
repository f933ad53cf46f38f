"""Part of `make bench`: the built-in models beside those of the generation before, on the same photos in one run.

The earlier models and their code are taken from the history of the repository. Both generations run in a process of
their own and process each photo in turn, so that a busy machine slows both. Without a folder of annotated photos, only
the cost is measured, on the sample closet.
"""

import argparse
import base64
import json
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import lookalike
from infra.training.labels import (
    FLAT_KINDS,
    FLAT_VALIDATION_SHARE,
    STREET_VALIDATION_COUNT,
    class_of_label_table,
    validation_positions,
)
from infra.training.matching import DetectionCounts, annotated_garments, mask_iou
from lookalike.domain.model import Box, Detection
from tests.benchmarks.report import Report, add_option, write_reports

ROOT = Path(lookalike.__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
"""Default folder of annotated photos, described in `infra/training/README.md`."""
EARLIER_COMMIT = "f217a11"
"""The last commit with the models of the first generation (`compact-3`)."""
WORKER = Path(__file__).with_name("generation_worker.py")
LIBRARIES = ("numpy", "onnxruntime", "pillow")
TABLE = Report("generations", ("figure", "compact-6", "compact-3"))
COST_GARMENTS, WARM_UP_PHOTOS, NEAREST = 4, 3, 5
"""Detections in the photos whose cost counts, photos that are not timed, and neighbors that count."""


class Generation:
    """A worker process with the models of one generation."""

    def __init__(self, package: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(package)}
        command = [sys.executable, str(WORKER)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, photo: Path) -> dict[str, Any]:
        """Return what the models make of a photo."""
        assert self.process.stdin and self.process.stdout
        print(photo, file=self.process.stdin, flush=True)
        result: dict[str, Any] = json.loads(self.process.stdout.readline())
        return result


@dataclass(slots=True)
class Figures:
    """What is counted for one generation."""

    street: DetectionCounts = field(default_factory=DetectionCounts)
    overlaps: list[float] = field(default_factory=list)
    flat_correct: list[bool] = field(default_factory=list)
    vectors: list[list[float]] = field(default_factory=list)
    seconds: list[list[float]] = field(default_factory=list)
    """Seconds of detection, of embedding, and of CPU time, for each photo with four garments."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder with street/ and flatlay/ (default: %(default)s)"
    )
    add_option(parser)
    options, _ = parser.parse_known_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in LIBRARIES))
    with tempfile.TemporaryDirectory() as folder:
        if not extract_earlier_generation(Path(folder)):
            print(f"skipped: the history of the repository with commit {EARLIER_COMMIT} is not here")
            return
        generations = [Generation(ROOT / "shared"), Generation(Path(folder) / "shared")]
        compare(generations, options.data)
        for generation in generations:
            generation.process.kill()
    if options.write_docs:
        write_reports([TABLE], LIBRARIES)


def extract_earlier_generation(folder: Path) -> bool:
    """Write the package of the earlier generation to the folder. Returns whether the history has it."""
    command = ["git", "-C", str(ROOT), "archive", EARLIER_COMMIT, "shared/lookalike"]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        return False
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as content:
        content.extractall(folder, filter="data")
    return True


def compare(generations: Sequence[Generation], data: Path) -> None:
    """Measure both generations, and print and record the table."""
    figures = [Figures() for _ in generations]
    if data.is_dir():
        print(
            f"validation part of {data.name}: {STREET_VALIDATION_COUNT} street photos, a tenth of the flat-lay photos"
        )
        judge_street(generations, figures, data)
        categories = judge_flat(generations, figures, data)
        rows = quality_rows(figures, categories)
    else:
        print(f"{data} is not here: cost only, on the sample closet")
        for photo in sorted((ROOT / "shared/lookalike/sample_closet").glob("*.jpg")):
            for generation, counted in zip(generations, figures, strict=True):
                record_cost(counted, generation(photo))
        rows = []
    for title, *cells in [*rows, *cost_rows(figures)]:
        print(f"{title:<58} {cells[0]:>10} {cells[1]:>10}")
        TABLE.add(title, *cells)


def record_cost(figures: Figures, result: dict[str, Any]) -> None:
    """Record the seconds if the photo has four garments."""
    if len(result["boxes"]) == COST_GARMENTS:
        figures.seconds.append(result["seconds"])


def judge_street(generations: Sequence[Generation], figures: Sequence[Figures], data: Path) -> None:
    """Process the street photos of the validation part."""
    table = json.loads((data / "street/labels.json").read_text())
    classes = class_of_label_table(table["labels"])
    names = sorted(table["tags"])
    has_mask = [number for number, name in enumerate(names) if (data / "street/masks" / f"{name}.png").exists()]
    for number in validation_positions(has_mask, STREET_VALIDATION_COUNT):
        photo = next((data / "street/photos").glob(f"{names[number]}.*"))
        labels = np.asarray(Image.open(data / "street/masks" / f"{names[number]}.png"), np.uint8)
        truths = annotated_garments(labels, classes)
        for generation, counted in zip(generations, figures, strict=True):
            result = generation(photo)
            record_cost(counted, result)
            masks = [decode_mask(text, labels.shape) for text in result["masks"]]
            pairs = zip(result["boxes"], result["labels"], masks, strict=True)
            detections = [Detection(Box(*box), label, 1.0, mask) for box, label, mask in pairs]
            matches = counted.street.add(truths, detections)
            counted.overlaps += [mask_iou(truth, found.mask) for truth, found in matches if found.mask is not None]


def decode_mask(text: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the opacity (H, W) of a garment on the whole photo."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape)


def judge_flat(generations: Sequence[Generation], figures: Sequence[Figures], data: Path) -> list[str]:
    """Process the flat-lay photos of the validation part; return their categories."""
    paths = sorted(data.glob("flatlay/*/*/*"), key=lambda path: path.name)
    picks = validation_positions(range(len(paths)), round(len(paths) * FLAT_VALIDATION_SHARE))
    for number in picks:
        for generation, counted in zip(generations, figures, strict=True):
            result = generation(paths[number])
            counted.flat_correct.append(result["labels"] == [FLAT_KINDS[paths[number].parent.name]])
            counted.vectors.append(result["vector"])
    return [paths[number].parent.name for number in picks]


def quality_rows(figures: Sequence[Figures], categories: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the rows of the table about quality."""
    names = np.array(categories)
    columns = []
    for counted in figures:
        street = counted.street.figures()
        rows = np.array(counted.vectors, np.float32)
        order = np.argsort(-(rows @ rows.T - 2 * np.eye(len(rows))), axis=1)[:, :NEAREST]
        is_right = names[order] == names[:, None]
        values = [street["recall"], street["precision"], street["label"], np.mean(counted.overlaps)]
        values += [np.mean(counted.flat_correct), is_right.mean(), is_right[:, 0].mean()]
        columns.append([f"{value:.3f}" for value in values])
    titles = (
        "street: recall",
        "street: precision",
        "street: right label",
        "street: mean mask IoU of the matches",
        "flat-lay: exactly one, of the right kind",
        "search among the validation photos: P@5",
        "search among the validation photos: P@1",
    )
    return list(zip(titles, *columns, strict=True))


def cost_rows(figures: Sequence[Figures]) -> list[tuple[str, ...]]:
    """Return the rows of the table about cost: medians of photos with four garments, on two threads."""
    columns = []
    for counted in figures:
        timed = counted.seconds[WARM_UP_PHOTOS:]
        medians = [statistics.median(column) * 1000 for column in zip(*timed, strict=True)]
        columns.append([f"{value:.1f}" for value in (*medians[:2], sum(medians[:2]), medians[2])])
    titles = ("detect", "embed four garments", "detect and embed", "CPU time of both")
    return [(f"{title}, milliseconds", *cells) for title, *cells in zip(titles, *columns, strict=True)]


if __name__ == "__main__":
    main()

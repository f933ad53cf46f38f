"""`lookalike models calibrate`: measure `match` of a model folder on pairs of the user's own photos."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.adapters.folder_models.manifest import StoredCalibration, read_manifest, write_manifest
from lookalike.batch.photo_sources import list_folder
from lookalike.batch.photos import embed_file
from lookalike.bootstrap import Services
from lookalike.domain.calibration import (
    Numbers,
    calibration_error,
    copy_threshold,
    fit_calibration,
    mean_probability,
)
from lookalike.domain.errors import BadRequest, Misconfigured
from lookalike.domain.model import Calibration

RUNNING = "running"
"""Name for the model folder that EMBEDDER names."""
NEIGHBORS = 10
"""Similar photos of other garments that each photo is paired with, as many as a search would show."""
MIN_PAIRS = 20
"""Pairs of each kind that a calibration needs at least."""
Pairs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabeledPhotos:
    """Photos, and pairs of their positions (n, 2) that show the same garment or different ones.

    With `groups`, the garment of each photo, pairs of different garments are chosen by similarity and `others` is empty.
    """

    paths: list[Path]
    same: Pairs
    others: Pairs
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """A calibration, the numbers of pairs it was fitted to, and its quality on pairs that were held back."""

    calibration: Calibration
    same_pairs: int
    other_pairs: int
    error: float
    mean_same: float
    mean_others: float


def calibrate_folder(
    services: Services, target: str, source: Path, whole: bool, progress: Callable[[Iterable[Path]], Any]
) -> tuple[Path, CalibrationReport]:
    """Fit the calibration of a model folder and write it into `lookalike.json`. Returns the folder and a report.

    `target` is a folder, or `running`. `source` is a CSV file, or a folder with a subfolder for each garment. Embeds the
    largest garment of each photo, or with `whole` the photo. `progress` wraps the photos. Raises `BadRequest` if the
    pairs are unusable.
    """
    folder = _find_target(services, target)
    photos = read_folders(source) if source.is_dir() else read_csv(source)
    manifest = read_manifest(folder, "embedder")
    chosen = services if target == RUNNING else services.with_models(services.settings.models, f"folder:{folder}")
    with progress(photos.paths) as paths:
        rows = np.stack([embed_file(chosen, path, not whole) for path in paths])
    report = fit_report(*pair_similarities(rows, photos))
    found = report.calibration
    stored = StoredCalibration(slope=found.slope, offset=found.offset, copies=found.duplicate_threshold)
    write_manifest(folder, manifest.model_copy(update={"calibration": stored}))
    return folder, report


def _find_target(services: Services, target: str) -> Path:
    location = services.settings.embedder_folder if target == RUNNING else target
    if not location:
        raise Misconfigured("EMBEDDER names no model folder, and other embedders keep no calibration of yours")
    if location.startswith("gs:"):
        raise Misconfigured(f"Calibrate a local copy of {location}, then upload its lookalike.json")
    return Path(location)


def read_folders(source: Path) -> LabeledPhotos:
    """List the photos of a folder that has a subfolder for each garment. Raises `BadRequest` if there are too few."""
    files = [file for file in list_folder(source) if "/" in file.source.name]
    names = [file.source.name.split("/")[0] for file in files]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    groups = np.array([numbers[name] for name in names], np.int64)
    same = np.argwhere(np.triu(groups[:, None] == groups, 1))
    _require_pairs(len(same), "the same garment", "put photos of one garment into one subfolder")
    if len(numbers) < 2:
        raise BadRequest(f"{source} has photos of one garment only; it needs a subfolder for each garment")
    return LabeledPhotos([source / file.source.name for file in files], same, np.zeros((0, 2), np.int64), groups)


def read_csv(source: Path) -> LabeledPhotos:
    """Read lines `image,image,same`, where `same` is 1 or 0 and paths are relative to the file.

    A first line with other names is a header. Raises `BadRequest` with the number of a line that is wrong.
    """
    positions: dict[Path, int] = {}
    pairs: dict[str, list[tuple[int, int]]] = {"1": [], "0": []}
    for line, row in _read_rows(source):
        first, second = (positions.setdefault(source.parent / name, len(positions)) for name in row[:2])
        if first == second:
            raise BadRequest(f"{source.name}, line {line}: both images are {row[0]}")
        pairs[row[2]].append((first, second))
    _require_pairs(len(pairs["1"]), "the same garment", "add lines that end with 1")
    _require_pairs(len(pairs["0"]), "different garments", "add lines that end with 0")
    return LabeledPhotos(list(positions), *(np.array(pairs[same], np.int64) for same in "10"))


def _read_rows(source: Path) -> Iterable[tuple[int, list[str]]]:
    """Yield the number and the three fields of each line."""
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            for row in reader:
                fields = [field.strip() for field in row]
                is_valid = len(fields) == 3 and all(fields) and fields[2] in ("0", "1")
                if is_valid:
                    yield reader.line_num, fields
                elif fields and reader.line_num > 1:
                    raise BadRequest(f"{source.name}, line {reader.line_num}: must be image,image,1 or image,image,0")
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRequest(f"{source.name} is not a CSV file in UTF-8: {error}") from error


def _require_pairs(count: int, what: str, remedy: str) -> None:
    if count < MIN_PAIRS:
        raise BadRequest(f"There are {count} pairs of {what}, at least {MIN_PAIRS} are needed: {remedy}")


def pair_similarities(rows: NDArray[np.float32], photos: LabeledPhotos) -> tuple[Numbers, Numbers, Numbers]:
    """Return the cosines of pairs of the same garment, of similar other garments, and of all known different photos."""
    same = _cosines(rows, photos.same)
    if photos.groups is None:
        others = _cosines(rows, photos.others)
        return same, others, others
    cosines = (rows @ rows.T).astype(np.float64)
    is_other = photos.groups[:, None] != photos.groups
    nearest = -np.sort(-np.where(is_other, cosines, -np.inf), axis=1)[:, :NEIGHBORS]
    return same, nearest[np.isfinite(nearest)], cosines[np.triu(is_other, 1)]


def _cosines(rows: NDArray[np.float32], pairs: Pairs) -> Numbers:
    return np.asarray((rows[pairs[:, 0]] * rows[pairs[:, 1]]).sum(1), np.float64)


def fit_report(same: Numbers, others: Numbers, different: Numbers) -> CalibrationReport:
    """Fit a calibration to all pairs. Its quality is that of a fit to every second pair, on the remaining ones.

    Raises `BadRequest` if similar photos are not more often of the same garment.
    """
    random = np.random.default_rng(0)
    same, others = random.permutation(same), random.permutation(others)
    fitted = fit_calibration(same, others)
    if fitted.slope <= 0:
        raise BadRequest("Photos of the same garment are not more similar than photos of others; check the pairs")
    trial = fit_calibration(same[::2], others[::2])
    return CalibrationReport(
        calibration=Calibration(fitted.slope, fitted.offset, copy_threshold(different)),
        same_pairs=same.size,
        other_pairs=others.size,
        error=calibration_error(trial, same[1::2], others[1::2]),
        mean_same=mean_probability(trial, same[1::2]),
        mean_others=mean_probability(trial, others[1::2]),
    )

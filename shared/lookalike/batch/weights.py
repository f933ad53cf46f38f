"""Bringing the full models' weights to where MODELS_DIR says, and looking whether they are there."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lookalike.adapters import weights
from lookalike.adapters.weights import WeightFile
from lookalike.bootstrap import Services
from lookalike.bootstrap.full_models import required_files
from lookalike.domain.ports import ObjectStore

KIND = "application/octet-stream"


def fetch_weights(services: Services, mirror: str, bar_of: Callable[[int, str], Any]) -> Iterator[tuple[WeightFile, str]]:
    """Each file, and what was done about it."""
    bucket = services.weights_bucket
    for file in required_files(services.settings):
        url = f"{mirror.rstrip('/')}/{file.name}" if mirror else ""
        with bar_of(file.size, file.name) as progress:
            if bucket is None:
                new = weights.fetch(file, Path(services.settings.weights), progress.update, url)
            else:
                new = fetch_weight_to_bucket(bucket, file, services.settings.lookalike_home / "models", progress.update, url)
        yield file, "fetched" if new else "was there"


def fetch_weight_to_bucket(bucket: ObjectStore, file: WeightFile, folder: Path, progress: weights.Progress, url: str) -> bool:
    """By way of that folder, where a download that was interrupted goes on; not if the bucket has it."""
    there = bucket.stat(file.name)
    if there and there.sha256 == file.sha256:
        return False
    new, path = weights.fetch(file, folder, progress, url), folder / file.name
    bucket.put(file.name, path.read_bytes(), KIND, there.generation if there else 0)
    if new:
        path.unlink()
    return True


def check_weights(services: Services) -> Iterator[tuple[WeightFile, str | None]]:
    """Each file, and what is wrong with it, if anything."""
    bucket, place = services.weights_bucket, services.settings.weights
    for file in required_files(services.settings):
        yield file, weights.problem_of(file, Path(place)) if bucket is None else _problem_in(bucket, file, place)


def _problem_in(bucket: ObjectStore, file: WeightFile, place: str) -> str | None:
    there = bucket.stat(file.name)
    if there is None:
        return f"The weights {file.name} are not in {place}"
    return None if there.sha256 == file.sha256 else f"The weights {place}/{file.name} are not those that are expected"

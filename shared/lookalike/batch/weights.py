"""Fetch the full models' weights to the folder or bucket MODELS_DIR, and verify them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lookalike.adapters import weights
from lookalike.adapters.weights import WeightFile
from lookalike.bootstrap import Services
from lookalike.bootstrap.full_models import required_files
from lookalike.domain.ports import ObjectStore

CONTENT_TYPE = "application/octet-stream"


def fetch_weights(
    services: Services, mirror: str, progress_bar: Callable[[int, str], Any]
) -> Iterator[tuple[WeightFile, str]]:
    """Fetch each required file that is missing; yield the file and "fetched" or "was there"."""
    bucket = services.weights_bucket
    for file in required_files(services.settings):
        url = f"{mirror.rstrip('/')}/{file.name}" if mirror else ""
        with progress_bar(file.size, file.name) as progress:
            if bucket is None:
                is_new = weights.fetch(file, Path(services.settings.weights), progress.update, url)
            else:
                folder = services.settings.lookalike_home / "models"
                is_new = _fetch_to_bucket(bucket, file, folder, progress.update, url)
        yield file, "fetched" if is_new else "was there"


def _fetch_to_bucket(bucket: ObjectStore, file: WeightFile, folder: Path, progress: weights.Progress, url: str) -> bool:
    """Download into `folder`, where an interrupted download resumes, then upload. Skips files the bucket has."""
    stored = bucket.stat(file.name)
    if stored and stored.sha256 == file.sha256:
        return False
    is_new, path = weights.fetch(file, folder, progress, url), folder / file.name
    bucket.put(file.name, path.read_bytes(), CONTENT_TYPE, stored.generation if stored else 0)
    if is_new:
        path.unlink()
    return True


def check_weights(services: Services) -> Iterator[tuple[WeightFile, str | None]]:
    """Yield each required file, and what is wrong with it or None."""
    bucket, location = services.weights_bucket, services.settings.weights
    for file in required_files(services.settings):
        if bucket is None:
            yield file, weights.find_problem(file, Path(location))
        else:
            yield file, _find_problem_in_bucket(bucket, file, location)


def _find_problem_in_bucket(bucket: ObjectStore, file: WeightFile, location: str) -> str | None:
    stored = bucket.stat(file.name)
    if stored is None:
        return f"The weights {file.name} are not in {location}"
    return None if stored.sha256 == file.sha256 else f"The weights {location}/{file.name} have a wrong checksum"

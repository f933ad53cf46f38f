"""The sample closet as a folder of JPEG files and their product details."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from lookalike.local.closet.shop import COLUMNS, details
from lookalike.local.closet.shots import Shot, shots

QUALITY = 90
DETAILS = "details.csv"


def draw_closet(folder: Path, count: int, seed: int = 1, progress: Callable[[int], None] | None = None) -> None:
    """Writes `count` photographs and details.csv; those that are there already are kept.

    `progress` is called with 1 after each photograph. About one in eight shows an earlier flat garment again, which
    then has the same url in details.csv. The first photographs of a seed are the same for every count.
    """
    folder.mkdir(parents=True, exist_ok=True)
    planned = list(shots(count, seed))
    _write(folder / DETAILS, _table(planned))
    for shot in planned:
        path = folder / f"{shot.stem}.jpg"
        if not path.exists():
            _write(path, _jpeg(shot))
        if progress:
            progress(1)


def _jpeg(shot: Shot) -> bytes:
    file = io.BytesIO()
    shot.draw().image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _table(planned: list[Shot]) -> bytes:
    file = io.StringIO(newline="")
    lines = csv.DictWriter(file, COLUMNS)
    lines.writeheader()
    lines.writerows(details(shot) for shot in planned)
    return file.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    """All or nothing: an interrupted run leaves no half file to be kept by the next."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)

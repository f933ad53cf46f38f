"""The sample closet: photographs of garments in the public domain, with invented product details."""

import csv
import io
import shutil
from pathlib import Path

import lookalike

CLOSET_FOLDER = Path(lookalike.__file__).parent / "sample_closet"
"""Part of the package. `SOURCE.md` in it names the origin and the license of the photos."""
QUERIES_FOLDER = CLOSET_FOLDER / "queries"
FIRST_QUERY = QUERIES_FOLDER / "outfit.jpg"
"""The photo that `make run` searches with: it shows three garments."""
DETAILS_FILE = "details.csv"


def closet_photos() -> list[Path]:
    """Return the photos of the closet in order of their names. Empty if the package was installed without them."""
    return sorted(CLOSET_FOLDER.glob("*.jpg"))


def query_photos() -> list[Path]:
    """Return the photos to search with, in order of their names. They are not in the closet."""
    return sorted(QUERIES_FOLDER.glob("*.jpg"))


def copy_closet(folder: Path, count: int | None = None) -> int:
    """Copy the closet and its product details into a folder; return the number of photos in it.

    `count` limits the photos; they are spread over all kinds of garments. Files with the same names are replaced.
    """
    photos = _spread(closet_photos(), count)
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        shutil.copyfile(photo, folder / photo.name)
    (folder / DETAILS_FILE).write_text(_details_of({photo.stem for photo in photos}), encoding="utf-8", newline="")
    return len(photos)


def _spread(photos: list[Path], count: int | None) -> list[Path]:
    """Choose `count` photos at equal distances. The names start with the kind, so all kinds get their share."""
    if count is None or count >= len(photos):
        return photos
    return [photos[number * len(photos) // count] for number in range(count)]


def _details_of(names: set[str]) -> str:
    """Return the CSV file with only the lines of these photos."""
    with (CLOSET_FOLDER / DETAILS_FILE).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        selected = io.StringIO(newline="")
        writer = csv.DictWriter(selected, rows.fieldnames or [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in rows if row["image_id"] in names)
    return selected.getvalue()

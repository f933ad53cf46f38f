"""Tests of the sample closet: photos, product details, license and size."""

import csv
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from infra.sample_closet.build import read_sources
from lookalike.batch.details_file import ValidLine, parse_details_file
from lookalike.batch.sample_closet import CLOSET_FOLDER, DETAILS_FILE, closet_photos, copy_closet, query_photos
from lookalike.bootstrap import Services
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Detection
from lookalike.images import read_image

KIND_OF_NAME = {
    "longsleeve": "top",
    "shirt": "top",
    "t-shirt": "top",
    "jacket": "outerwear",
    "dress": "dress",
    "trousers": "trousers",
    "shorts": "shorts",
    "skirt": "skirt",
    "shoes": "shoes",
    "hat": "hat",
}


def kind_of(photo: Path) -> str:
    return photo.stem.rpartition("-")[0]


def test_closet_has_photos_of_every_kind_and_of_outfits() -> None:
    counts = Counter(kind_of(photo) for photo in closet_photos())
    assert counts.keys() == {*KIND_OF_NAME, "outfit"} and sum(counts.values()) >= 150
    assert min(counts.values()) >= 6


def test_closet_takes_at_most_3_megabytes() -> None:
    assert sum(path.stat().st_size for path in CLOSET_FOLDER.rglob("*") if path.is_file()) <= 3_000_000


def test_photos_are_small_jpegs_and_have_no_metadata() -> None:
    for path in [*closet_photos(), *query_photos()]:
        with Image.open(path) as photo:
            assert photo.format == "JPEG" and max(photo.size) <= 400 and not photo.getexif()


def test_source_and_license_are_named() -> None:
    text = (CLOSET_FOLDER / "SOURCE.md").read_text()
    assert "CC0 1.0" in text and "clothing-dataset-small" in text


def test_every_photo_has_a_recorded_source() -> None:
    sources = {source.name for source in read_sources()}
    assert sources == {photo.stem for photo in [*closet_photos(), *query_photos()]}


def test_queries_are_not_in_the_closet() -> None:
    by_role: dict[str, set[str]] = {"closet": set(), "query": set()}
    for source in read_sources():
        by_role[source.role].update(source.files)
    assert len(query_photos()) == 3 and not by_role["closet"] & by_role["query"]


def test_details_are_valid_and_shared_by_views_of_one_garment() -> None:
    lines = list(parse_details_file(CLOSET_FOLDER / DETAILS_FILE))
    assert all(isinstance(line, ValidLine) for line in lines)
    with (CLOSET_FOLDER / DETAILS_FILE).open(newline="") as file:
        details = {line["image_id"]: line for line in csv.DictReader(file)}
    singles = {photo.stem for photo in closet_photos() if kind_of(photo) != "outfit"}
    assert details.keys() == singles
    assert details["dress-001"]["url"] == details["dress-002"]["url"] != details["dress-003"]["url"]


def test_details_are_of_invented_stores() -> None:
    lines = [line.details for line in parse_details_file(CLOSET_FOLDER / DETAILS_FILE) if isinstance(line, ValidLine)]
    assert all((line.url or "").startswith("https://shop.example/") and line.brand and line.tags for line in lines)


def test_copy_has_details_of_the_copied_photos_only(tmp_path: Path) -> None:
    assert copy_closet(tmp_path, 40) == 40
    copied = {path.stem for path in tmp_path.glob("*.jpg")}
    with (tmp_path / DETAILS_FILE).open(newline="") as file:
        described = {line["image_id"] for line in csv.DictReader(file)}
    assert described == {name for name in copied if not name.startswith("outfit")} and len(described) > 35


def found_kinds(detections: list[Detection]) -> list[str | None]:
    return [detection.label for detection in detections]


@pytest.mark.slow
def test_detector_finds_the_garment_of_nearly_every_photo(real: Services) -> None:
    singles = [photo for photo in closet_photos() if kind_of(photo) != "outfit"]
    right = 0
    for path in singles:
        detections = real.models.detect(read_image(path.read_bytes()), CancelToken())
        right += found_kinds(detections) == [KIND_OF_NAME[kind_of(path)]]
    assert right >= 0.95 * len(singles)


def test_detector_finds_several_garments_in_outfits(real: Services) -> None:
    outfits = [photo for photo in closet_photos() if kind_of(photo) == "outfit"]
    for path in outfits:
        assert len(real.models.detect(read_image(path.read_bytes()), CancelToken())) >= 2, path.name

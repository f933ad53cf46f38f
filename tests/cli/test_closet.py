"""Tests of `lookalike closet`."""

import csv
from pathlib import Path

from tests.cli.conftest import run


def test_closet_copies_photos_details_and_a_query(home: Path) -> None:
    assert "156 photos copied" in run("closet", "closet", "--query", "query.jpg").output
    photos = {path.stem for path in Path("closet").glob("*.jpg")}
    with Path("closet/details.csv").open(newline="") as file:
        details = {line["image_id"] for line in csv.DictReader(file)}
    assert len(photos) == 156 and details < photos and Path("query.jpg").stat().st_size > 5000


def test_closet_count_takes_photos_of_all_kinds(home: Path) -> None:
    assert run("closet", "closet", "--count", "30").exit_code == 0
    photos = {path.stem for path in Path("closet").glob("*.jpg")}
    assert len(photos) == 30 and len({name.rpartition("-")[0] for name in photos}) >= 10


def test_closet_can_be_copied_again(home: Path) -> None:
    for _ in range(2):
        assert run("closet", "closet", "--count", "3").exit_code == 0
    assert len(list(Path("closet").glob("*.jpg"))) == 3

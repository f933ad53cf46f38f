"""`lookalike find`, on the built-in models and real files."""

import json
from pathlib import Path

import pytest

from lookalike.bootstrap import services
from lookalike.domain.model import ProductDetails
from tests.cli.conftest import run


@pytest.fixture
def stored(folder: Path) -> Path:
    """Store the garments of two photos, one of them with product details."""
    run("ingest", folder)
    services().segments.put_details([ProductDetails("dress", brand="Marlow", season="summer")])
    return folder


def test_find_by_words_tells_what_it_understood(stored: Path) -> None:
    result = run("find", "Marlow", "with", "xylophones")
    assert result.exit_code == 0, result.output
    assert "understood: Marlow as brand Marlow" in result.output and "ignored: with, xylophones" in result.output
    assert "dress_segment_0" in result.output


def test_find_by_garment_photo_and_color(stored: Path) -> None:
    results = json.loads(run("find", "--photo", stored / "dress.jpg", "--json").output)["results"]
    name, other = (one["splitted_image_id"] for one in results[:2])
    alike = json.loads(run("find", "--like", name, "--num", "1", "--json").output)["results"]
    assert [one["splitted_image_id"] for one in alike] == [name] and alike[0]["similarity"] > 0.999
    against = json.loads(run("find", "--like", other, "--unlike", name, "--json").output)["results"]
    assert against[0]["splitted_image_id"] == other
    listed = json.loads(run("find", "--color", "#808080", "--within", "100", "--json").output)["results"]
    distances = [one["why"]["color_distance"] for one in listed]
    assert distances and distances == sorted(distances)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [([], "Name WORDS"), (["--color", "red"], "not a color"), (["--like", "missing"], "no stored garment 'missing'")],
)
def test_find_explains_wrong_arguments(stored: Path, arguments: list[str], message: str) -> None:
    result = run("find", *arguments)
    assert result.exit_code != 0 and message in result.output

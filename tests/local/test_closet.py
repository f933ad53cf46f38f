"""The drawn closet: pictures that stay the same, masks that fit, files and product details."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.model import KINDS
from lookalike.local.closet import Drawn, draw_closet, draw_scene
from lookalike.local.closet.cuts import CUTS
from lookalike.local.closet.design import Design, choose_design
from lookalike.local.closet.scene import draw_flat
from lookalike.local.closet.shots import shots

COLUMNS = ["image_id", "store_name", "brand", "product_name", "store_description", "url", "rating", "tags",
           "sale_status", "size", "waist_type", "listing_season", "season"]  # fmt: skip
SEEDS = range(6)
COUNT = 16
SCENES = [(seed, worn) for seed in SEEDS for worn in (False, True)]


@cache
def scene(seed: int, worn: bool) -> Drawn:
    return draw_scene(seed, worn)


@pytest.fixture(scope="module")
def closet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closet")
    draw_closet(folder, COUNT)
    return folder


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "details.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("worn", [False, True])
def test_a_seed_gives_the_same_picture_again(worn: bool) -> None:
    again = draw_scene(3, worn)
    assert np.array_equal(np.asarray(again.image), np.asarray(scene(3, worn).image))
    assert [one.kind for one in again.garments] == [one.kind for one in scene(3, worn).garments]


def test_other_seeds_give_other_pictures() -> None:
    assert len({scene(*which).image.tobytes() for which in SCENES}) == len(SCENES)


@pytest.mark.parametrize(("seed", "worn"), SCENES)
def test_masks_show_garments_inside_the_picture(seed: int, worn: bool) -> None:
    drawn = scene(seed, worn)
    assert drawn.image.mode == "RGB" and drawn.image.size == (384, 512)
    for garment in drawn.garments:
        assert garment.kind in KINDS and garment.cut in CUTS[garment.kind] and garment.colours
        assert garment.mask.shape == (512, 384) and garment.mask.dtype == bool and garment.mask.any()
    assert np.sum([garment.mask for garment in drawn.garments], axis=0).max() == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_flat_picture_shows_one_garment_apart_from_its_edges(seed: int) -> None:
    [garment] = scene(seed, False).garments
    assert garment.mask.mean() > 0.03
    assert not garment.mask[[0, -1]].any() and not garment.mask[:, [0, -1]].any()


@pytest.mark.parametrize("seed", SEEDS)
def test_somebody_wears_several_kinds(seed: int) -> None:
    kinds = {garment.kind for garment in scene(seed, True).garments}
    assert len(kinds) >= 2 and kinds & {"top", "dress"}


def test_garments_differ_from_what_they_lie_on() -> None:
    apart = [difference(scene(seed, False)) for seed in SEEDS]
    assert np.median(apart) > 30 and min(apart) > 4


def difference(drawn: Drawn) -> float:
    """Mean distance of the garment's pixels from the ground's mean colour, 0 to 255."""
    pixels, mask = np.asarray(drawn.image, np.float32), drawn.garments[0].mask
    return float(np.abs(pixels[mask] - pixels[~mask].mean(axis=0)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_can_be_drawn(kind: str) -> None:
    for number, name in enumerate(CUTS[kind]):
        cloth = choose_design(np.random.default_rng(number), kind).cloth
        drawn = draw_flat(Design(kind, name, cloth, number), np.random.default_rng(number), (96, 128))
        assert [one.kind for one in drawn.garments] == [kind]


def test_pictures_have_the_size_asked_for() -> None:
    drawn = draw_scene(2, True, (150, 210))
    assert drawn.image.size == (150, 210) and drawn.garments[0].mask.shape == (210, 150)


def test_a_closet_is_photographs_and_their_details(closet: Path) -> None:
    stems = [path.stem for path in closet.glob("*.jpg")]
    assert sorted(stems) == sorted(line["image_id"] for line in lines(closet)) and len(stems) == COUNT
    assert {path.suffix for path in closet.iterdir()} == {".jpg", ".csv"}
    assert {stem.split("-")[0] for stem in stems} == {"flat", "worn"}
    with Image.open(closet / f"{stems[0]}.jpg") as photo:
        assert photo.format == "JPEG" and photo.size == (384, 512)


def test_details_fit_the_garments(closet: Path) -> None:
    for line in lines(closet):
        assert list(line) == COLUMNS
        tags = json.loads(line["tags"])
        assert tags[0] in KINDS and json.loads(line["size"]) and 0 <= float(line["rating"]) <= 5
        assert line["url"].startswith("https://shop.example/") and tags[1] in line["product_name"].lower()
        assert line["image_id"].startswith("worn") or line["image_id"].split("-")[1] == tags[0]


def test_a_second_call_draws_only_what_is_missing(closet: Path) -> None:
    one, two, *_ = sorted(closet.glob("*.jpg"))
    one.write_bytes(b"kept")
    two.unlink()
    heard: list[int] = []
    draw_closet(closet, COUNT, progress=heard.append)
    assert one.read_bytes() == b"kept" and two.stat().st_size > 1000 and heard == [1] * COUNT


def test_about_one_in_eight_shows_a_garment_again() -> None:
    planned = list(shots(240, 1))
    by_stem = {shot.stem: shot for shot in planned}
    twins = [shot for shot in planned if shot.twin_of]
    assert 15 <= len(twins) <= 48
    assert all(by_stem[shot.twin_of or ""].main == shot.main for shot in twins)
    assert all(by_stem[shot.twin_of or ""].outfit is None for shot in twins)
    assert len({shot.main.seed for shot in planned}) == len(planned) - len(twins)


def test_two_thirds_are_flat_and_every_kind_is_there() -> None:
    planned = list(shots(240, 1))
    flat = [shot.main.kind for shot in planned if shot.outfit is None]
    assert 0.55 < len(flat) / len(planned) < 0.78 and set(flat) == set(KINDS)


def test_a_larger_closet_begins_with_the_smaller_one() -> None:
    assert [shot.stem for shot in shots(40, 5)][:20] == [shot.stem for shot in shots(20, 5)]


def test_twins_share_product_and_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_nothing: Callable[[object], bytes] = lambda shot: b""  # noqa: E731
    monkeypatch.setattr("lookalike.local.closet.folder._jpeg", draw_nothing)
    draw_closet(tmp_path, 120)
    names = {line["image_id"]: (line["url"], line["product_name"]) for line in lines(tmp_path)}
    twins = {shot.stem: shot.twin_of for shot in shots(120, 1) if shot.twin_of}
    assert twins and all(names[stem] == names[original] for stem, original in twins.items())
    assert sum(count - 1 for count in Counter(names.values()).values()) == len(twins)

"""`lookalike search`, `detect` and `embed`, on the built-in models and real files."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.bootstrap import services
from tests.cli.conftest import run
from tests.sample_photos import sample_photo


def test_search_prints_matches_and_writes_an_image(folder: Path) -> None:
    run("ingest", folder)
    assert "garments" in run("index", "build").output
    assert len(run("index", "list").output.splitlines()) == 1
    result = run("search", folder / "dress.jpg", "--out", "found.png", "--num", "2")
    assert result.exit_code == 0 and "dress_segment_0" in result.output
    with Image.open("found.png") as image:
        assert image.width > 500
    groups = json.loads(run("search", folder / "dress.jpg", "--whole", "--json").output)["groups"]
    assert len(groups) == 1 and groups[0]["label"] is None and groups[0]["results"]


def test_detect_prints_one_line_per_photo(folder: Path) -> None:
    result = run("detect", folder / "dress.jpg", folder / "broken.jpg", folder / "summer" / "dress.jpg", "--json")
    first, broken, last = (json.loads(line) for line in result.stdout.splitlines())
    assert result.exit_code == 1 and broken["error"]["code"] == "invalid_image"
    assert (first["width"], first["height"]) == sample_photo(3).size and first["path"].endswith("dress.jpg")
    assert set(first["detections"][0]) == {"box", "label", "score", "mask_area"} and last["detections"]
    assert "x" in run("detect", folder / "dress.jpg").output


def test_detect_writes_a_mask_of_the_photo_size_for_each_garment(folder: Path) -> None:
    result = run("detect", folder / "dress.jpg", "--masks", "masks/new", "--json")
    line = json.loads(result.stdout)
    assert sorted(path.name for path in Path("masks/new").iterdir()) == [
        f"dress_{number}.png" for number in range(len(line["detections"]))
    ]
    for number, detection in enumerate(line["detections"]):
        with Image.open(f"masks/new/dress_{number}.png") as mask:
            assert mask.mode == "L" and mask.size == (line["width"], line["height"])
            opacity = np.asarray(mask)
        assert (opacity > 127).sum() == detection["mask_area"] > 0
        rows, columns = np.nonzero(opacity)
        x1, y1, x2, y2 = detection["box"]
        assert x1 - 1 <= columns.min() and columns.max() <= x2 and y1 - 1 <= rows.min() and rows.max() <= y2


def test_detect_writes_no_masks_of_photos_with_one_name(folder: Path) -> None:
    result = run("detect", folder / "dress.jpg", folder / "summer" / "dress.jpg", "--masks", "masks")
    assert result.exit_code == 2 and "two photos are named dress" in result.output and not Path("masks").exists()


def test_embed_writes_unit_vectors_in_order(folder: Path) -> None:
    photos = [folder / "dress.jpg", folder / "summer" / "dress.jpg", folder / "dress.jpg"]
    for options in ([], ["--garment"]):
        assert run("embed", *photos, "--out", "rows.npz", *options).exit_code == 0
        with np.load("rows.npz") as found:
            names, vectors = found["names"].tolist(), found["vectors"]
        assert names == [str(photo) for photo in photos]
        assert vectors.dtype == np.float32 and vectors.shape[0] == 3
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert np.allclose(vectors[0], vectors[2], atol=1e-5)


def test_embed_of_a_broken_photo_writes_nothing(folder: Path) -> None:
    result = run("embed", folder / "broken.jpg", "--out", "rows.npz")
    assert result.exit_code == 1 and not Path("rows.npz").exists() and "corrupt or truncated" in result.output


def test_search_finds_garments_in_milvus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("milvus_lite")
    monkeypatch.setenv("INDEX_URL", "milvus:vectors.db")
    services.cache_clear()
    assert json.loads(run("ingest", folder, "--json").output)["stored"] == 2
    found = run("search", folder / "dress.jpg", "--whole", "--num", "1", "--json")
    best = json.loads(found.output)["groups"][0]["results"][0]
    assert best["splitted_image_id"].startswith("dress_segment_")
    info = services().index.warm_up()
    assert info.version and info.rows >= 2 and info.tail_rows == 0, "uploads are written to it"
    services().segments.delete_segment(best["splitted_image_id"])
    # the count follows the mark, which is looked at every second
    time.sleep(1.1)
    assert services().index.warm_up().rows == info.rows - 1
    manifest = services().reindex.build()
    assert manifest and manifest.rows == info.rows - 1
    refused = run("index", "list")
    assert refused.exit_code == 1 and "Milvus" in refused.output
    assert "vectors.db" in run("doctor").output
    services()._external_index.index.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arguments", [["search", "missing.jpg"], ["ingest", "nowhere"], ["search"], ["token", "--days", "0"]]
)
def test_invalid_arguments_exit_with_status_2(home: Path, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2

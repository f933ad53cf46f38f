"""`lookalike models add`, `lookalike models calibrate`, and `reembed` to a model folder."""

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from lookalike.adapters.folder_models.manifest import read_manifest
from lookalike.bootstrap import Services, services
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.model_folders import DIM, image_network, save, text_network, update_json, write_clip
from tests.sample_photos import sample_photo
from tests.tiny_detector import TinyDetector


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder without a manifest."""
    return write_clip(tmp_path / "clip")


@pytest.fixture
def garments(tmp_path: Path) -> Path:
    """Eight garments with three photos each, in a subfolder for each garment."""
    random = np.random.default_rng(4)
    for garment in range(8):
        photo = sample_photo(garment).resize((240, 320))
        (tmp_path / "pairs" / f"garment{garment}").mkdir(parents=True)
        for number in range(3):
            left, top = (int(side) for side in random.integers(0, 20, 2))
            version = photo.crop((left, top, 220 + left, 300 + top))
            (tmp_path / "pairs" / f"garment{garment}" / f"{number}.jpg").write_bytes(jpeg(version))
    return tmp_path / "pairs"


def write_csv(garments: Path, swap: bool = False) -> Path:
    """Write all pairs of the photos; `swap` exchanges what is the same and what is not."""
    photos = sorted(path.relative_to(garments) for path in garments.rglob("*.jpg"))
    lines = [
        f"{first},{second},{int((first.parent == second.parent) != swap)}"
        for number, first in enumerate(photos)
        for second in photos[number + 1 :]
    ]
    (garments / "pairs.csv").write_text("\n".join(["image,other image,same", *lines, ""]))
    return garments / "pairs.csv"


def test_add_writes_a_manifest_and_prints_the_settings(home: Path, model: Path) -> None:
    result = run("models", "add", model, "--name", "My-CLIP")
    assert result.exit_code == 0, result.output
    manifest = read_manifest(model, "embedder")
    assert manifest.name.startswith("My-CLIP-") and manifest.dim == DIM and len(manifest.files) == 6
    lines = result.output.splitlines()
    assert lines[0] == f"{manifest.name}: embedder, {DIM} dimensions, 6 files"
    assert (
        lines[1].startswith("self-test passed; ") and "ms for one image" in lines[1] and "ms for one text" in lines[1]
    )
    assert lines[-2:] == ["MODELS=compact", f"EMBEDDER=folder:{model}"]
    assert not home.exists()


def test_add_names_the_model_after_its_checkpoint_and_variant(home: Path, model: Path) -> None:
    update_json(model / "config.json", _name_or_path="patrickjohncyh/Fashion CLIP")
    save(image_network(3), model / "onnx" / "vision_model_int8.onnx")
    assert run("models", "add", model, "--variant", "int8").output.startswith("fashion-clip-int8-")
    assert read_manifest(model, "embedder").variant == "int8"
    assert "onnx/vision_model_int8.onnx" in read_manifest(model, "embedder").files


def test_add_of_a_detector_maps_its_labels(home: Path, tmp_path: Path) -> None:
    folder = TinyDetector().write(tmp_path / "detr")
    result = run("models", "add", folder, "--label", "sleeve=top", "--label", "pants=none")
    assert result.exit_code == 0, result.output
    assert read_manifest(folder, "detector").labels == {"shirt, blouse": "top", "pants": None, "sleeve": "top"}
    assert "  pants: ignored" in result.output and f"DETECTOR=folder:{folder}" in result.output


def constant_network() -> bytes:
    """Return a network whose vectors do not depend on the image."""
    network = image_network()
    for tensor in network.graph.initializer:
        if tensor.name == "patches":
            tensor.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(tensor)), "patches"))
            network.graph.node[1].op_type = "Cos"
    return bytes(network.SerializeToString())


def infinite_network() -> bytes:
    """Return a network whose vectors are not finite."""
    network = image_network()
    for tensor in network.graph.initializer:
        if tensor.name == "projection":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(np.inf), "projection"))
    return bytes(network.SerializeToString())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (constant_network, "vectors of images are the same for different inputs"),
        (infinite_network, "vectors of images are not finite"),
        (lambda: b"no network", "vision_model.onnx cannot be loaded"),
    ],
)
def test_add_refuses_a_model_that_fails_its_test(home: Path, model: Path, content: object, message: str) -> None:
    (model / "onnx" / "vision_model.onnx").write_bytes(content())  # type: ignore[operator]
    result = run("models", "add", model)
    assert result.exit_code == 1 and message in result.output and not (model / "lookalike.json").exists()


def test_add_refuses_texts_of_another_length(home: Path, model: Path) -> None:
    save(text_network(dim=DIM + 1), model / "onnx" / "text_model.onnx")
    result = run("models", "add", model)
    assert result.exit_code == 1 and f"vectors of texts have {DIM + 1} numbers, not {DIM}" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "two words"], "must have at most 51 letters"),
        (["--name", "x" * 52], "must have at most 51 letters"),
        (["--variant", "q4"], "has no onnx/vision_model_q4.onnx"),
        (["--label", "shirt=top"], "--label applies to detectors only"),
        (["--label", "shirt"], "must be NAME=KIND"),
    ],
)
def test_add_says_what_is_wrong(home: Path, model: Path, arguments: list[str], message: str) -> None:
    result = run("models", "add", model, *arguments)
    assert result.exit_code != 0 and message in result.output and "Traceback" not in result.output


@pytest.mark.parametrize("source", ["folders", "csv"])
def test_calibrate_measures_match(real: Services, model: Path, garments: Path, source: str) -> None:
    pairs = write_csv(garments) if source == "csv" else garments
    run("models", "add", model)
    result = run("models", "calibrate", model, pairs, "--whole")
    assert result.exit_code == 0, result.output
    calibration = read_manifest(model, "embedder").calibration
    assert calibration and calibration.slope > 0 and calibration.copies > 0.999
    curve = calibration.to_domain()
    assert curve.match_probability(0.999) > 0.5 > curve.match_probability(0.2)
    assert "pairs of the same garment" in result.output and "calibration error" in result.output
    # another test of the same files keeps the calibration, other files lose it
    assert run("models", "add", model).exit_code == 0
    assert read_manifest(model, "embedder").calibration == calibration
    save(image_network(8), model / "onnx" / "vision_model.onnx")
    run("models", "add", model)
    assert read_manifest(model, "embedder").calibration is None


def test_calibrate_running_uses_the_folder_of_the_settings(
    real: Services, model: Path, garments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run("models", "calibrate", "running", garments)
    assert refused.exit_code == 1 and "EMBEDDER names no model folder" in refused.output
    run("models", "add", model)
    monkeypatch.setenv("EMBEDDER", f"folder:{model}")
    services.cache_clear()
    pairs = write_csv(garments)
    result = run("models", "calibrate", "running", pairs)
    assert result.exit_code == 0, result.output
    assert read_manifest(model, "embedder").calibration is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a.jpg,b.jpg,1\n", "There are 1 pairs of the same garment, at least 20 are needed"),
        ("a.jpg,b.jpg,1\na.jpg,b.jpg,maybe\n", "line 2: must be image,image,1 or image,image,0"),
        ("a.jpg,b.jpg,1\na.jpg,b.jpg\n", "line 2: must be image,image,1 or image,image,0"),
        ("a.jpg,a.jpg,1\n", "line 1: both images are a.jpg"),
        ("".join(f"{number}.jpg,b.jpg,1\n" for number in range(20)), "There are 0 pairs of different garments"),
    ],
)
def test_calibrate_says_what_is_wrong_with_the_pairs(
    real: Services, model: Path, tmp_path: Path, content: str, message: str
) -> None:
    run("models", "add", model)
    (tmp_path / "pairs.csv").write_text(content)
    result = run("models", "calibrate", model, tmp_path / "pairs.csv")
    assert result.exit_code == 1 and message in result.output


def test_calibrate_refuses_pairs_that_contradict_the_model(real: Services, model: Path, garments: Path) -> None:
    run("models", "add", model)
    before = (model / "lookalike.json").read_text()
    pairs = write_csv(garments, swap=True)
    result = run("models", "calibrate", model, pairs, "--whole")
    assert result.exit_code == 1 and "not more similar than photos of others" in result.output
    assert (model / "lookalike.json").read_text() == before


def test_calibrate_needs_a_manifest(real: Services, model: Path, garments: Path) -> None:
    pairs = write_csv(garments)
    result = run("models", "calibrate", model, pairs)
    assert result.exit_code == 1 and "run `lookalike models add" in result.output
    assert run("models", "calibrate", "nowhere", pairs).exit_code == 2


def test_reembed_to_a_folder_and_back(folder: Path, real: Services, model: Path) -> None:
    run("ingest", folder)
    run("models", "add", model)
    name = json.loads((model / "lookalike.json").read_text())["name"]
    result = run("reembed", "--embedder", f"folder:{model}")
    assert result.exit_code == 0, result.output
    assert f"Set MODELS=compact EMBEDDER=folder:{model} to search" in result.output
    assert real.catalog.changes(name, 0).row_ids.size == real.catalog.changes("compact-6", 0).row_ids.size > 0
    refused = run("reembed", "--embedder", "clip")
    assert refused.exit_code == 2 and "not a value of EMBEDDER" in refused.output


def test_doctor_names_the_embedder_of_a_folder(real: Services, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("models", "add", model)
    monkeypatch.setenv("EMBEDDER", f"folder:{model}")
    services.cache_clear()
    result = run("doctor")
    assert read_manifest(model, "embedder").name in result.output and f"{DIM} dimensions" in result.output

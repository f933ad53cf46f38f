"""`lookalike models add` with detectors."""

from pathlib import Path

import pytest

from lookalike.adapters.folder_models.manifest import read_manifest
from lookalike.bootstrap import services
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.sample_photos import sample_photo
from tests.tiny_detector import TinyDetector

FASHIONPEDIA = {0: "shirt, blouse", 1: "shoe", 2: "sleeve"}


def test_add_lists_the_kind_of_every_label(home: Path, tmp_path: Path) -> None:
    folder = TinyDetector("yolos", labels=FASHIONPEDIA).write(tmp_path / "yolos")
    result = run("models", "add", folder, "--name", "fashionpedia")
    assert result.exit_code == 0, result.output
    manifest = read_manifest(folder, "detector")
    assert manifest.name.startswith("fashionpedia-") and len(manifest.files) == 3
    assert manifest.labels == {"shirt, blouse": "top", "shoe": "shoes", "sleeve": None}
    lines = result.output.splitlines()
    assert lines[0] == f"{manifest.name}: detector, 3 files"
    assert lines[1].startswith("self-test passed; ") and lines[1].endswith(" ms for one photo")
    assert lines[2:5] == ["  shirt, blouse: top", "  shoe: shoes", "  sleeve: ignored"]
    assert lines[-2:] == ["MODELS=compact", f"DETECTOR=folder:{folder}"]


def test_add_of_a_variant(home: Path, tmp_path: Path) -> None:
    folder = TinyDetector().write(tmp_path / "detr", "onnx/model_int8.onnx")
    result = run("models", "add", folder)
    assert result.exit_code == 1 and "has no onnx/model.onnx; variants in the folder: int8" in result.output
    assert run("models", "add", folder, "--variant", "int8").exit_code == 0
    assert "onnx/model_int8.onnx" in read_manifest(folder, "detector").files


@pytest.mark.parametrize(
    ("tiny", "arguments", "message"),
    [
        (TinyDetector(labels={0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}), [], "--label NAME=KIND"),
        (TinyDetector(), ["--label", "coat=outerwear"], "The model has no label 'coat'; its labels are: pants, "),
        (TinyDetector(), ["--label", "sleeve=gloves"], "'gloves' is not a garment kind"),
        (TinyDetector(), ["--label", "sleeve"], "must be NAME=KIND"),
        (TinyDetector("rt_detr"), [], "check model_type and id2label"),
        (TinyDetector("vit"), [], "the model_type 'vit' is not a supported detector"),
    ],
)
def test_add_says_what_is_wrong(
    home: Path, tmp_path: Path, tiny: TinyDetector, arguments: list[str], message: str
) -> None:
    folder = tiny.write(tmp_path / "detector")
    result = run("models", "add", folder, *arguments)
    assert result.exit_code != 0 and message in result.output and "Traceback" not in result.output
    assert not (folder / "lookalike.json").exists()


def test_labels_without_a_known_name_get_a_kind_by_option(home: Path, tmp_path: Path) -> None:
    folder = TinyDetector(labels={0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}).write(tmp_path / "detector")
    assert run("models", "add", folder, "--label", "LABEL_0=dress").exit_code == 0
    assert read_manifest(folder, "detector").labels == {"LABEL_0": "dress", "LABEL_1": None, "LABEL_2": None}


def test_doctor_names_the_detector(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = TinyDetector().write(tmp_path / "detr")
    run("models", "add", folder)
    monkeypatch.setenv("DETECTOR", f"folder:{folder}")
    services.cache_clear()
    assert f", detector folder:{folder}; loaded in" in run("doctor").output


def test_detect_uses_the_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = TinyDetector().write(tmp_path / "detr")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg(sample_photo(1).resize((200, 100))))
    monkeypatch.setenv("DETECTOR", f"folder:{folder}")
    services.cache_clear()
    refused = run("detect", photo)
    assert refused.exit_code == 1 and f"has no lookalike.json; run `lookalike models add {folder}`" in refused.output
    run("models", "add", folder)
    services.cache_clear()
    result = run("detect", photo)
    assert result.exit_code == 0, result.output
    assert "top        0.95  [60.0, 10.0, 140.0, 40.0]" in result.output

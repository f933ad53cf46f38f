"""DETECTOR=folder:… from a local folder and from a bucket, up to the detections of a request."""

import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.adapters.folder_models.manifest import read_manifest
from lookalike.batch.model_folders import add_folder
from lookalike.bootstrap import Services
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from lookalike.settings import read_settings
from tests.emulators.storage_server import storage_server
from tests.sample_photos import sample_photo
from tests.tiny_detector import TinyDetector


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A detector with masks that `lookalike models add` has accepted."""
    folder = TinyDetector(masks=np.full((3, 16, 16), 5.0)).write(tmp_path / "detr")
    add_folder(folder, "", "", {})
    return folder


def open_services(monkeypatch: pytest.MonkeyPatch, **settings: str) -> Services:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Services(read_settings())


def test_folder_replaces_the_detector_only(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = open_services(monkeypatch, DETECTOR=f"folder:{folder}").models
    photo = sample_photo(1)
    top, trousers = models.detect(photo, CancelToken())
    assert (top.label, trousers.label) == ("top", "trousers")
    width, height = photo.size
    assert top.box.as_list() == pytest.approx([0.3 * width, 0.1 * height, 0.7 * width, 0.4 * height], abs=0.01)
    assert top.cut_out(photo).mode == "RGBA" and models.embedder == CompactEmbedder.name


def test_labels_of_the_manifest_count(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_folder(folder, "", "", {"pants": "none", "sleeve": "outerwear"})
    models = open_services(monkeypatch, DETECTOR=f"folder:{folder}").models
    assert [found.label for found in models.detect(sample_photo(1), CancelToken())] == ["outerwear", "top"]


def test_folder_in_a_bucket(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with storage_server("weights") as server:
        services = open_services(monkeypatch, DETECTOR="folder:gs://weights/detr", STORAGE_EMULATOR_HOST=server.url)
        bucket = services.open_store("gs://weights/detr")
        for path in folder.rglob("*.*"):
            bucket.put(path.relative_to(folder).as_posix(), path.read_bytes(), "application/octet-stream")
        assert len(services.models.detect(sample_photo(1), CancelToken())) == 2


@pytest.mark.parametrize("file", ["onnx/model.onnx", "config.json", "preprocessor_config.json"])
def test_changed_and_missing_files_are_refused(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    path = folder / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Misconfigured, match=rf"{file} has the SHA-256 .*run `lookalike models add`"):
        _ = open_services(monkeypatch, DETECTOR=f"folder:{folder}").models
    path.unlink()
    with pytest.raises(Misconfigured, match=rf"The file {file} is missing"):
        _ = open_services(monkeypatch, DETECTOR=f"folder:{folder}").models


def test_network_data_that_was_added_later_is_refused(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "onnx" / "model.onnx_data").write_bytes(b"weights")
    with pytest.raises(Misconfigured, match=r"onnx/model\.onnx_data is not in lookalike\.json"):
        _ = open_services(monkeypatch, DETECTOR=f"folder:{folder}").models


def test_manifest_that_maps_no_label_is_refused(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "lookalike.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "labels": {"sleeve": None}}))
    with pytest.raises(Misconfigured, match="none of the labels is a garment kind"):
        _ = open_services(monkeypatch, DETECTOR=f"folder:{folder}").models


def test_a_detector_is_not_an_embedder(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_manifest(folder, "detector").name.startswith("detr-")
    with pytest.raises(Misconfigured, match="a model of the kind detector, not embedder"):
        _ = open_services(monkeypatch, EMBEDDER=f"folder:{folder}").models

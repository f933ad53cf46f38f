"""EMBEDDER=folder:… and DETECTOR=folder:…, from a local folder and from a bucket."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.folder_models.manifest import StoredCalibration, read_manifest, write_manifest
from lookalike.batch.model_folders import add_folder
from lookalike.bootstrap import Services
from lookalike.bootstrap.folder_models import find_folder
from lookalike.bootstrap.full_models import required_files
from lookalike.bootstrap.models import open_models, read_calibration
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import Calibration
from lookalike.domain.ports import ObjectStore
from lookalike.settings import Settings, read_settings
from tests.emulators.storage_server import storage_server
from tests.fakes.store import FakeStore
from tests.model_folders import DIM, update_json, write_clip
from tests.sample_photos import sample_photo

MakeSettings = Callable[..., Settings]


@pytest.fixture
def make_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSettings:
    """Return a function that reads the settings with these environment variables."""

    def make(**settings: str) -> Settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that `lookalike models add` has accepted."""
    add_folder(write_clip(tmp_path / "clip"), "", "", {})
    return tmp_path / "clip"


def no_store(address: str) -> ObjectStore:
    raise AssertionError(address)


def upload(folder: Path, bucket: ObjectStore) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            bucket.put(path.relative_to(folder).as_posix(), path.read_bytes(), "application/octet-stream")


def test_folder_replaces_the_embedder_only(make_settings: MakeSettings, folder: Path) -> None:
    models = Services(make_settings(EMBEDDER=f"folder:{folder}")).models
    assert models.embedder == read_manifest(folder, "embedder").name and models.embedder.startswith("clip-")
    assert models.dim == DIM and models.embeds_texts
    assert isinstance(models._detector, CompactDetector)
    models.warm_up()


def test_embedder_without_a_text_model_embeds_no_texts(make_settings: MakeSettings, tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip", has_texts=False)
    add_folder(folder, "", "", {})
    models = Services(make_settings(EMBEDDER=f"folder:{folder}")).models
    assert not models.embeds_texts
    assert models.embed([sample_photo(1)], CancelToken()).shape == (1, DIM)


def test_name_and_calibration_are_known_without_the_network(make_settings: MakeSettings, folder: Path) -> None:
    """An index build reads the name only, on a machine without the weights."""
    (folder / "onnx" / "vision_model.onnx").unlink()
    services = Services(make_settings(EMBEDDER=f"folder:{folder}"))
    assert services.versions is not None
    found = find_folder(str(folder), "embedder", no_store)
    assert read_calibration(found.manifest.name, found) is None
    stored = StoredCalibration(slope=2, offset=-3, copies=0.99)
    write_manifest(folder, found.manifest.model_copy(update={"calibration": stored}))
    found = find_folder(str(folder), "embedder", no_store)
    assert read_calibration(found.manifest.name, found) == Calibration(2, -3, 0.99)
    with pytest.raises(Misconfigured, match=r"vision_model\.onnx is missing"):
        _ = services.models


def test_models_of_folders_need_no_full_weights(make_settings: MakeSettings, folder: Path) -> None:
    """With MODELS=full, only what the folders do not replace is fetched."""
    assert len(required_files(make_settings(MODELS="full"))) == 3
    assert len(required_files(make_settings(EMBEDDER=f"folder:{folder}"))) == 2
    assert required_files(make_settings(DETECTOR="folder:anywhere")) == []


def test_folder_in_a_bucket_is_downloaded_and_deleted(
    make_settings: MakeSettings, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    expected = Services(make_settings(EMBEDDER=f"folder:{folder}")).models.embed([sample_photo(1)], CancelToken())
    with storage_server("weights") as server:
        settings = make_settings(EMBEDDER="folder:gs://weights/clip", STORAGE_EMULATOR_HOST=server.url)
        services = Services(settings)
        upload(folder, services.open_store("gs://weights/clip"))
        models = services.models
        assert models.embed([sample_photo(1)], CancelToken())[0] @ expected[0] > 0.99999
        assert models.embeds_texts and models.embed_texts(["a dress"], CancelToken()).shape == (1, DIM)
    assert not [*temporary.iterdir()]


def test_what_is_missing_in_a_bucket_is_named(make_settings: MakeSettings, folder: Path) -> None:
    bucket = FakeStore()
    with pytest.raises(
        Misconfigured, match=r"gs://b/clip has no lookalike\.json; run `lookalike models add` on a local"
    ):
        find_folder("gs://b/clip", "embedder", lambda _: bucket)
    bucket.put("lookalike.json", (folder / "lookalike.json").read_bytes(), "application/json")
    found = find_folder("gs://b/clip", "embedder", lambda _: bucket)
    with pytest.raises(Misconfigured, match=r"A file is missing in gs://b/clip.*upload the whole folder"):
        open_models(make_settings(), None, embedder_folder=found)


@pytest.mark.parametrize("file", ["onnx/vision_model.onnx", "onnx/text_model.onnx", "tokenizer.json", "config.json"])
def test_changed_files_are_refused_before_traffic(make_settings: MakeSettings, folder: Path, file: str) -> None:
    path = folder / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Misconfigured, match=rf"{file} has the SHA-256 .*run `lookalike models add`"):
        _ = Services(make_settings(EMBEDDER=f"folder:{folder}")).models


def test_a_text_model_that_was_added_later_is_refused(make_settings: MakeSettings, tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip", has_texts=False)
    add_folder(folder, "", "", {})
    write_clip(folder)
    with pytest.raises(Misconfigured, match=r"is not in lookalike\.json"):
        _ = Services(make_settings(EMBEDDER=f"folder:{folder}")).models


def test_an_embedder_is_not_a_detector(make_settings: MakeSettings, folder: Path) -> None:
    with pytest.raises(Misconfigured, match="a model of the kind embedder, not detector"):
        _ = Services(make_settings(DETECTOR=f"folder:{folder}")).models


def test_vectors_of_other_models_are_not_searched(make_settings: MakeSettings, folder: Path, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other", seed=5)
    name = add_folder(other, "", "", {}).manifest.name
    assert name != read_manifest(folder, "embedder").name
    update_json(other / "lookalike.json", name=read_manifest(folder, "embedder").name)
    with pytest.raises(Misconfigured, match="the name must end with the fingerprint"):
        _ = Services(make_settings(EMBEDDER=f"folder:{other}")).search


@pytest.mark.parametrize(
    ("name", "value"),
    [("EMBEDDER", "folder:"), ("EMBEDDER", "folder:gs://"), ("EMBEDDER", "/models/clip"), ("DETECTOR", "resnet50")],
)
def test_invalid_folder_setting_is_named(make_settings: MakeSettings, name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        make_settings(**{name: value})


def test_photos_are_not_changed_by_embedding(make_settings: MakeSettings, folder: Path) -> None:
    photo = Image.new("RGBA", (30, 40), (1, 2, 3, 0))
    before = photo.tobytes()
    Services(make_settings(EMBEDDER=f"folder:{folder}")).models.embed([photo], CancelToken())
    assert photo.tobytes() == before

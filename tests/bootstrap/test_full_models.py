"""Loading the full models, as far as it needs neither torch nor weights: settings, names, weights from a bucket."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.adapters.weights import DETECTOR, DINOV2, RESNET50, VOCABULARY, WeightFile
from lookalike.bootstrap import Services
from lookalike.bootstrap.full_models import (
    StartupTimer,
    embedder_name_and_dim,
    import_libraries,
    locate_weights,
    open_models,
    required_files,
)
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import ORIGINAL_DIM, ORIGINAL_EMBEDDER
from lookalike.settings import Settings, read_settings
from tests.fakes.store import FakeStore

CONTENT = {name: name.encode() * 1000 for name in ("one.pth", "two.pth")}
FILES = [WeightFile(name, "", len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items()]
OTHER_SHA256 = "ab" * 32
MakeSettings = Callable[..., Settings]


@pytest.fixture
def make_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSettings:
    """Return a function that reads the settings with these environment variables."""

    def make(**settings: str) -> Settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return make


def test_each_embedder_requires_its_own_weights(make_settings: MakeSettings) -> None:
    assert required_files(make_settings(MODELS="full")) == [DETECTOR, VOCABULARY, RESNET50]
    assert required_files(make_settings(EMBEDDER="dinov2")) == [DETECTOR, VOCABULARY, DINOV2]


def test_replaced_weights_change_the_embedder_name(make_settings: MakeSettings) -> None:
    assert embedder_name_and_dim(make_settings(MODELS="full")) == (ORIGINAL_EMBEDDER, ORIGINAL_DIM)
    assert embedder_name_and_dim(make_settings(MODELS_SHA256=f"{RESNET50.name}={OTHER_SHA256}")) == (
        "resnet50-abababababab",
        2048,
    )
    assert embedder_name_and_dim(make_settings(EMBEDDER="dinov2")) == ("dinov2-vits14-lvd142m", 384)


def test_reindex_does_not_load_the_models(make_settings: MakeSettings) -> None:
    """The function `reindex` has neither a GPU nor torch."""
    reindex = Services(make_settings(MODELS="full")).reindex
    assert reindex is not None


def test_weights_are_downloaded_from_a_bucket(make_settings: MakeSettings, tmp_path: Path) -> None:
    bucket, steps = FakeStore(), StartupTimer()
    for name, data in CONTENT.items():
        bucket.put(name, data, "application/octet-stream")
    folder = locate_weights(make_settings(), FILES, bucket, tmp_path, steps)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert set(steps.seconds) == {"pulling weights", "checking weights"}


def test_weights_with_wrong_checksum_are_rejected(make_settings: MakeSettings, tmp_path: Path) -> None:
    bucket = FakeStore()
    for name in CONTENT:
        bucket.put(name, b"others", "application/octet-stream")
    with pytest.raises(Misconfigured, match=r"one\.pth have 6 bytes, not 7,000"):
        locate_weights(make_settings(), FILES, bucket, tmp_path, StartupTimer())


def test_missing_weights_name_the_command_that_fetches_them(make_settings: MakeSettings, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"one\.pth.*run `lookalike models fetch` to fetch them"):
        locate_weights(make_settings(), FILES, FakeStore(), tmp_path, StartupTimer())


def test_downloaded_weights_are_deleted_when_loading_fails(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cloud Run starts an instance again and again, and its files are memory."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bucket = FakeStore()
    for name in (DETECTOR.name, VOCABULARY.name, RESNET50.name):
        bucket.put(name, b"others", "application/octet-stream")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Misconfigured):
        open_models(make_settings(MODELS="full"), bucket)
    assert sorted(tmp_path.iterdir()) == before


def test_missing_extra_is_reported(make_settings: MakeSettings) -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        with pytest.raises(Misconfigured, match=r"pip install 'lookalike\[full\]'"):
            import_libraries()
    else:
        import_libraries()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODELS", "huge"),
        ("EMBEDDER", "clip"),
        ("MODELS_SHA256", "net.pth=12"),
        ("MODELS_DIR", "gs://"),
        ("PRECISION", "int8"),
        ("PROMPT", "x" * 1001),
        ("MODELS_QUEUE", "-1"),
    ],
)
def test_invalid_setting_is_named_in_the_error(make_settings: MakeSettings, name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        make_settings(**{name: value})

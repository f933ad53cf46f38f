"""What of the full models needs neither torch nor weights: settings, names, and weights that come from a bucket."""

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
OTHER = "ab" * 32
Told = Callable[..., Settings]


@pytest.fixture
def told(home: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Settings as the environment tells them."""

    def tell(**settings: str) -> Settings:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return read_settings()

    return tell


def test_each_embedder_needs_its_own_weights(told: Told) -> None:
    assert required_files(told(MODELS="full")) == [DETECTOR, VOCABULARY, RESNET50]
    assert required_files(told(EMBEDDER="dinov2")) == [DETECTOR, VOCABULARY, DINOV2]


def test_vectors_of_other_weights_have_another_name(told: Told) -> None:
    assert embedder_name_and_dim(told(MODELS="full")) == (ORIGINAL_EMBEDDER, ORIGINAL_DIM)
    assert embedder_name_and_dim(told(MODELS_SHA256=f"{RESNET50.name}={OTHER}")) == ("resnet50-abababababab", 2048)
    assert embedder_name_and_dim(told(EMBEDDER="dinov2")) == ("dinov2-vits14-lvd142m", 384)


def test_the_index_is_built_without_loading_the_models(told: Told) -> None:
    """By a function without a GPU, and without torch."""
    reindex = Services(told(MODELS="full")).reindex
    assert reindex is not None


def test_weights_come_from_a_bucket(told: Told, tmp_path: Path) -> None:
    bucket, steps = FakeStore(), StartupTimer()
    for name, data in CONTENT.items():
        bucket.put(name, data, "application/octet-stream")
    folder = locate_weights(told(), FILES, bucket, tmp_path, steps)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert set(steps.seconds) == {"pulling weights", "checking weights"}


def test_other_weights_in_the_bucket_are_refused(told: Told, tmp_path: Path) -> None:
    bucket = FakeStore()
    for name in CONTENT:
        bucket.put(name, b"others", "application/octet-stream")
    with pytest.raises(Misconfigured, match=r"one\.pth have 6 bytes, not 7,000"):
        locate_weights(told(), FILES, bucket, tmp_path, StartupTimer())


def test_an_empty_bucket_is_told(told: Told, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"one\.pth.*`lookalike models fetch` gets them"):
        locate_weights(told(), FILES, FakeStore(), tmp_path, StartupTimer())


def test_what_was_pulled_is_gone_when_the_start_fails(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start that is tried again and again must not fill the memory."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bucket = FakeStore()
    for name in (DETECTOR.name, VOCABULARY.name, RESNET50.name):
        bucket.put(name, b"others", "application/octet-stream")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Misconfigured):
        open_models(told(MODELS="full"), bucket)
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_extra_is_told(told: Told) -> None:
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
def test_wrong_settings_are_refused_by_name(told: Told, name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        told(**{name: value})

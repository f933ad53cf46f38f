"""Contracts of detectors and embedders, on the fakes, the compact models and models of folders. `tests/full` runs them on the full models."""

from collections.abc import Callable

import numpy as np
import pytest

from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.adapters.folder_models.detector import FolderDetector
from lookalike.adapters.folder_models.embedder import FolderTextEmbedder, open_embedder
from lookalike.bootstrap import WEIGHTS
from lookalike.domain.model import Box, Detection
from lookalike.domain.ports import Detector, Embedder, TextEmbedder
from tests.contracts.models import DETECTOR_CONTRACT, EMBEDDER_CONTRACT, TEXT_EMBEDDER_CONTRACT
from tests.fakes.models import FakeDetector, FakeEmbedder
from tests.model_folders import write_clip
from tests.tiny_detector import KINDS, TinyDetector


@pytest.fixture(scope="module", params=["fake", "compact", "folder", "folder with masks"])
def detector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    if request.param == "fake":
        return FakeDetector(Detection(Box(0, 0, 1, 1), "top", 0.9))
    if request.param == "compact":
        return CompactDetector(WEIGHTS / "detector.onnx")
    # scores depend on the photo
    masks = np.random.default_rng(1).normal(size=(3, 16, 16)) * 9 if "masks" in request.param else None
    folder = TinyDetector(brightness=1.0, masks=masks).write(tmp_path_factory.mktemp("detector"))
    return FolderDetector(folder, KINDS)


@pytest.fixture(scope="module", params=["fake", "compact", "folder"])
def embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    if request.param == "fake":
        return FakeEmbedder()
    if request.param == "compact":
        return CompactEmbedder(WEIGHTS / "embedder.onnx")
    return open_embedder(write_clip(tmp_path_factory.mktemp("embedder")), "", "tiny")


@pytest.fixture(scope="module")
def text_embedder(tmp_path_factory: pytest.TempPathFactory) -> TextEmbedder:
    embedder = open_embedder(write_clip(tmp_path_factory.mktemp("texts")), "", "tiny")
    assert isinstance(embedder, FolderTextEmbedder)
    return embedder


@pytest.mark.parametrize("check", DETECTOR_CONTRACT, ids=lambda check: check.__name__)
def test_detector_contract(detector: Detector, check: Callable[[Detector], None]) -> None:
    check(detector)


@pytest.mark.parametrize("check", EMBEDDER_CONTRACT, ids=lambda check: check.__name__)
def test_embedder_contract(embedder: Embedder, check: Callable[[Embedder], None]) -> None:
    check(embedder)


@pytest.mark.parametrize("check", TEXT_EMBEDDER_CONTRACT, ids=lambda check: check.__name__)
def test_text_embedder_contract(text_embedder: TextEmbedder, check: Callable[[TextEmbedder], None]) -> None:
    check(text_embedder)

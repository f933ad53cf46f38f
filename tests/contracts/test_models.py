"""The contracts of detectors and embedders, on the fakes and the built-in ones; tests/full runs them on the full ones."""

from collections.abc import Callable

import pytest

from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.bootstrap import WEIGHTS
from lookalike.domain.model import Box, Detection
from lookalike.domain.ports import Detector, Embedder
from tests.contracts.models import OF_DETECTORS, OF_EMBEDDERS
from tests.fakes.models import FakeDetector, FakeEmbedder


@pytest.fixture(scope="module", params=["fake", "compact"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "fake":
        return FakeDetector(Detection(Box(0, 0, 1, 1), "top", 0.9))
    return CompactDetector(WEIGHTS / "detector.onnx")


@pytest.fixture(scope="module", params=["fake", "compact"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return FakeEmbedder() if request.param == "fake" else CompactEmbedder(WEIGHTS / "embedder.onnx")


@pytest.mark.parametrize("contract", OF_DETECTORS, ids=lambda one: one.__name__)
def test_detectors(detector: Detector, contract: Callable[[Detector], None]) -> None:
    contract(detector)


@pytest.mark.parametrize("contract", OF_EMBEDDERS, ids=lambda one: one.__name__)
def test_embedders(embedder: Embedder, contract: Callable[[Embedder], None]) -> None:
    contract(embedder)

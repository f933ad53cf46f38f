"""Contracts of detectors and embedders, on the fakes and the compact models. `tests/full` runs them on the full models."""

from collections.abc import Callable

import pytest

from lookalike.adapters.compact_detector import CompactDetector
from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.bootstrap import WEIGHTS
from lookalike.domain.model import Box, Detection
from lookalike.domain.ports import Detector, Embedder
from tests.contracts.models import DETECTOR_CONTRACT, EMBEDDER_CONTRACT
from tests.fakes.models import FakeDetector, FakeEmbedder


@pytest.fixture(scope="module", params=["fake", "compact"])
def detector(request: pytest.FixtureRequest) -> Detector:
    if request.param == "fake":
        return FakeDetector(Detection(Box(0, 0, 1, 1), "top", 0.9))
    return CompactDetector(WEIGHTS / "detector.onnx")


@pytest.fixture(scope="module", params=["fake", "compact"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return FakeEmbedder() if request.param == "fake" else CompactEmbedder(WEIGHTS / "embedder.onnx")


@pytest.mark.parametrize("check", DETECTOR_CONTRACT, ids=lambda check: check.__name__)
def test_detector_contract(detector: Detector, check: Callable[[Detector], None]) -> None:
    check(detector)


@pytest.mark.parametrize("check", EMBEDDER_CONTRACT, ids=lambda check: check.__name__)
def test_embedder_contract(embedder: Embedder, check: Callable[[Embedder], None]) -> None:
    check(embedder)

"""Networks of the built-in models: runs beside each other, and cancelled runs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession

import lookalike
from lookalike.adapters import onnx
from lookalike.adapters.onnx import Network, RunCounter
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled

WEIGHTS = Path(lookalike.__file__).parent / "weights" / "embedder.onnx"
PIXELS = {"pixels": np.random.default_rng(1).integers(0, 256, (1, 160, 160, 4)).astype(np.uint8)}


def test_run_is_alone_unless_another_network_is_running() -> None:
    runs = RunCounter()
    with runs.count_run() as first, runs.count_run() as second:
        assert first and not second
    with runs.count_run() as third:
        assert third


def test_failed_run_is_not_counted_any_more() -> None:
    runs = RunCounter()
    network = Network(WEIGHTS, 2, runs)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        network.run(PIXELS, token)
    with runs.count_run() as is_alone:
        assert is_alone


def test_run_beside_others_uses_one_single_threaded_session(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    def open_session(weights: Path, threads: int) -> InferenceSession:
        opened.append(threads)
        return original(weights, threads)

    original = onnx.open_session
    monkeypatch.setattr(onnx, "open_session", open_session)
    runs = RunCounter()
    network = Network(WEIGHTS, 2, runs)
    alone = network.run(PIXELS, CancelToken())
    assert opened == [2]
    with runs.count_run(), ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: network.run(PIXELS, CancelToken()), range(4)))
    assert opened == [2, 1]
    for result in results:
        for part, expected in zip(result, alone, strict=True):
            assert np.allclose(part, expected, atol=1e-5)

"""The adapters around the networks: photos in, garments and vectors out, from many threads, cancelled and short of memory."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.adapters.crops import CropEmbedder
from lookalike.adapters.grounding_dino.detector import GroundingDinoDetector, RawOutput
from lookalike.adapters.grounding_dino.network import GroundingDino
from lookalike.adapters.pytorch import Engine, load_network
from lookalike.adapters.resnet50 import open_network
from lookalike.adapters.weights import RESNET50
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, DeadlineExceeded, Misconfigured
from lookalike.domain.model import Detection
from lookalike.domain.ports import Detector, Embedder
from tests.contracts.models import DETECTOR_CONTRACT, EMBEDDER_CONTRACT
from tests.full import reference_models
from tests.full.model_pair import PROMPT, ModelPair
from tests.sample_photos import sample_photo

ENGINE = Engine(torch.device("cpu"), torch.float32)
Detectors = Callable[..., GroundingDinoDetector]


@pytest.fixture(scope="module")
def detector_of(tiny: ModelPair) -> Detectors:
    def make(prompt: str = PROMPT, most: int = 1) -> GroundingDinoDetector:
        made = GroundingDinoDetector(
            tiny.checkpoint, tiny.vocabulary, ENGINE, threading.Lock(), prompt, 0.05, reference_models.TINY
        )
        made._batcher.max_batch = most
        return made

    return make


@pytest.fixture(scope="module")
def detector(detector_of: Detectors) -> GroundingDinoDetector:
    return detector_of()


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> CropEmbedder:
    file = tmp_path_factory.mktemp("resnet") / RESNET50.name
    torch.save(reference_models.make_resnet50().state_dict(), file)
    return CropEmbedder(open_network(file, ENGINE), "resnet50-made-up", 2048, ENGINE, threading.Lock())


def photo(seed: int = 0) -> Image.Image:
    return sample_photo(seed, outfit=True).resize((900, 1200))


def as_tuples(found: list[Detection]) -> list[Any]:
    return [(one.box, one.label, one.score) for one in found]


@pytest.mark.parametrize("contract", DETECTOR_CONTRACT, ids=lambda one: one.__name__)
def test_the_contract_of_detectors(detector: GroundingDinoDetector, contract: Callable[[Detector], None]) -> None:
    contract(detector)


@pytest.mark.parametrize("contract", EMBEDDER_CONTRACT, ids=lambda one: one.__name__)
def test_the_contract_of_embedders(embedder: CropEmbedder, contract: Callable[[Embedder], None]) -> None:
    contract(embedder)


@pytest.fixture
def seeing(detector_of: Detectors) -> Callable[..., list[Detection]]:
    """What becomes of boxes (x, y, width, height in shares, score of "shoes") that the network finds in a photo."""

    def see(size: tuple[int, int], *boxes: tuple[float, ...], thorough: bool = False) -> list[Detection]:
        detector = detector_of()
        place = [detector._words.decode([one]) for one in detector._prompt.token_ids.tolist()].index("shoes")
        scores = torch.zeros(len(boxes), len(detector._prompt.token_ids))
        scores[:, place] = torch.tensor([box[4] for box in boxes])
        output = RawOutput(scores, torch.tensor([box[:4] for box in boxes]))
        detector._batcher.run_all = lambda things, *_: [output] * len(things)  # type: ignore[method-assign]
        return detector.detect(Image.new("RGB", size), CancelToken(), thorough)

    return see


def test_what_is_stored_is_looked_for_more_thoroughly(seeing: Callable[..., list[Detection]]) -> None:
    boxes = [(0.5, 0.1 + 0.2 * number, 0.9, 0.1, score) for number, score in enumerate((0.14, 0.16, 0.29, 0.31))]
    assert [one.score for one in seeing((1000, 1000), *boxes)] == pytest.approx([0.31])
    assert [one.score for one in seeing((1000, 1000), *boxes, thorough=True)] == pytest.approx([0.31, 0.29, 0.16])


def test_boxes_are_told_in_pixels_of_the_photo(seeing: Callable[..., list[Detection]]) -> None:
    (one,) = seeing((1000, 2000), (0.5, 0.25, 0.4, 0.1, 0.9))
    assert one.box.as_list() == [300, 400, 700, 600] and one.label == "shoes"


def test_padding_is_taken_off(seeing: Callable[..., list[Detection]]) -> None:
    whole, beside = (0.5, 0.5, 1, 1, 0.9), (0.2, 0.1, 0.4, 0.1, 0.8)
    (one,) = seeing((200, 300), whole, beside)
    assert one.box.as_list() == [0, 0, 200, 300]


def test_what_is_narrow_is_dropped_where_tiles_are_cut(seeing: Callable[..., list[Detection]]) -> None:
    assert len(seeing((1000, 1000), (0.5, 0.5, 0.02, 0.9, 0.9))) == 1
    assert seeing((5000, 1000), (0.5, 0.5, 0.19, 0.9, 0.9)) == []
    assert seeing((500, 3000), (0.5, 0.5, 0.31, 0.3, 0.9)) == []
    assert len(seeing((500, 3000), (0.5, 0.5, 0.33, 0.3, 0.9))) == 2


def test_tiles_are_put_together(seeing: Callable[..., list[Detection]]) -> None:
    found = seeing((10_000, 1000), (0.5, 0.5, 0.3, 0.5, 0.9))
    assert [one.box.x1 for one in found] == pytest.approx([1050, 3750, 6450, 8050], abs=1e-3)


def test_labels_are_kinds_or_words_of_the_prompt(detector: GroundingDinoDetector) -> None:
    labels = {one.label for n in range(4) for one in detector.detect(photo(n), CancelToken(), thorough=True)}
    assert labels <= {"top", "shoes", "dress", "hat", "red", "a"}


@pytest.mark.parametrize("most", [1, 4])
def test_many_threads_get_what_each_would_get_alone(detector_of: Detectors, most: int) -> None:
    detector = detector_of(most=most)
    photos = [photo(seed) for seed in range(6)]
    alone = [detector.detect(one, CancelToken(), thorough=True) for one in photos]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda one: detector.detect(one, CancelToken(), thorough=True), photos))
    for one, other in zip(alone, together, strict=True):
        assert [found.label for found in one] == [found.label for found in other]
        for ours, theirs in zip(one, other, strict=True):
            assert np.allclose(ours.box.as_list(), theirs.box.as_list(), atol=1)
            assert ours.score == pytest.approx(theirs.score, abs=1e-2)


def test_between_layers_it_is_asked_whether_anybody_waits(tiny: ModelPair) -> None:
    network, asked = tiny.build(), []
    with torch.inference_mode():
        network(torch.zeros(1, 3, 224, 224), network.encode_prompt(tiny.prompt), lambda: asked.append(time.monotonic()))
    # eight blocks of the backbone, two halves of two layers of the encoder, three layers of the decoder
    assert len(asked) == 8 + 2 * 2 + 3


@pytest.mark.parametrize("late", [False, True])
def test_a_running_detection_stops_at_the_next_layer(detector: GroundingDinoDetector, late: bool) -> None:
    panorama = Image.effect_noise((30_000, 1000), 80).convert("RGB")
    token, began = CancelToken(time.monotonic() + 0.5 if late else None), time.monotonic()
    if not late:
        threading.Timer(0.5, token.cancel).start()
    with pytest.raises(DeadlineExceeded if late else Cancelled):
        detector.detect(panorama, token)
    left = time.monotonic()
    assert left - began < 2
    # the thread that works is free again: what comes next does not wait for eleven tiles
    detector.detect(Image.new("RGB", (800, 1000)), CancelToken())
    assert time.monotonic() - left < 2


def test_short_of_memory_the_batch_is_halved(detector_of: Detectors) -> None:
    detector = detector_of(most=8)
    real, sizes = detector._network, []

    def small(pixels: torch.Tensor, *more: Any) -> Any:
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(pixels, *more)

    detector._network = small
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: detector.detect(photo(n), CancelToken(), thorough=True), range(8)))
    detector._network = real
    assert max(sizes) > 2 and detector._batcher.max_batch <= 2
    assert [len(one) for one in found] == [len(detector.detect(photo(n), CancelToken(), True)) for n in range(8)]


def test_vectors_of_many_threads_are_those_of_one(embedder: CropEmbedder) -> None:
    pictures = [photo(seed % 8).crop((seed, 0, 700 + seed, 900)) for seed in range(64)]
    alone = embedder.embed(pictures, CancelToken())
    with ThreadPoolExecutor(64) as pool:
        together = np.concatenate(list(pool.map(lambda one: embedder.embed([one], CancelToken()), pictures)))
    assert (alone * together).sum(1).min() > 0.9999


def test_transparent_parts_of_a_cut_out_are_white(embedder: CropEmbedder) -> None:
    cut_out = photo().convert("RGBA")
    cut_out.putalpha(0)
    rows = embedder.embed([cut_out, Image.new("RGB", (50, 60), "white")], CancelToken())
    assert rows[0] @ rows[1] > 0.99999


def test_weights_are_mapped_not_read(tiny: ModelPair) -> None:
    """And nothing is filled with random numbers before: that would move the generator."""
    state = torch.random.get_rng_state()
    network = load_network(lambda: GroundingDino(reference_models.TINY), tiny.checkpoint, "model")
    assert torch.equal(state, torch.random.get_rng_state())
    assert str(tiny.checkpoint) in Path("/proc/self/maps").read_text() and [*network.parameters()]


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x04c__builtin__\nprint\n."])
def test_a_file_that_holds_no_weights_is_told(tmp_path: Path, tiny: ModelPair, content: bytes) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"net\.pth does not hold the weights"):
        GroundingDinoDetector(tmp_path / "net.pth", tiny.vocabulary, ENGINE, threading.Lock())


def test_weights_of_another_shape_are_told(tiny: ModelPair) -> None:
    with pytest.raises(Misconfigured, match="does not hold the weights"):
        GroundingDinoDetector(tiny.checkpoint, tiny.vocabulary, ENGINE, threading.Lock())


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, tiny: ModelPair) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "run",))

    torch.save({"model": Evil()}, tmp_path / "net.pth")
    with pytest.raises(Misconfigured):
        GroundingDinoDetector(
            tmp_path / "net.pth", tiny.vocabulary, ENGINE, threading.Lock(), shape=reference_models.TINY
        )
    assert not (tmp_path / "run").exists()


def test_a_prompt_that_is_too_long_is_told(detector_of: Detectors) -> None:
    with pytest.raises(Misconfigured, match="PROMPT"):
        detector_of("red " * 300)

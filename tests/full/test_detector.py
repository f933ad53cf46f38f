"""Tests of the full detector and embedder: contracts, boxes, concurrency, cancellation, memory and checkpoints."""

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
MakeDetector = Callable[..., GroundingDinoDetector]
DetectBoxes = Callable[..., list[Detection]]


@pytest.fixture(scope="module")
def make_detector(tiny_pair: ModelPair) -> MakeDetector:
    def make(prompt: str = PROMPT, max_batch: int = 1) -> GroundingDinoDetector:
        checkpoint, vocabulary = tiny_pair.checkpoint, tiny_pair.vocabulary
        detector = GroundingDinoDetector(
            checkpoint, vocabulary, ENGINE, threading.Lock(), prompt, max_delay=0.05, config=reference_models.TINY
        )
        detector._batcher.max_batch = max_batch
        return detector

    return make


@pytest.fixture(scope="module")
def detector(make_detector: MakeDetector) -> GroundingDinoDetector:
    return make_detector()


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> CropEmbedder:
    file = tmp_path_factory.mktemp("resnet") / RESNET50.name
    torch.save(reference_models.make_resnet50().state_dict(), file)
    return CropEmbedder(open_network(file, ENGINE), "resnet50-random", 2048, ENGINE, threading.Lock())


def make_photo(seed: int = 0) -> Image.Image:
    return sample_photo(seed, outfit=True).resize((900, 1200))


@pytest.mark.parametrize("contract", DETECTOR_CONTRACT, ids=lambda contract: contract.__name__)
def test_detector_meets_its_contract(detector: GroundingDinoDetector, contract: Callable[[Detector], None]) -> None:
    contract(detector)


@pytest.mark.parametrize("contract", EMBEDDER_CONTRACT, ids=lambda contract: contract.__name__)
def test_embedder_meets_its_contract(embedder: CropEmbedder, contract: Callable[[Embedder], None]) -> None:
    contract(embedder)


@pytest.fixture
def detect_boxes(make_detector: MakeDetector) -> DetectBoxes:
    """Return a function that detects in a photo of some size with a fake network output.

    The output has these boxes: center x and y, width and height as fractions of the photo, and the score of "shoes".
    """

    def detect(size: tuple[int, int], *boxes: tuple[float, ...], thorough: bool = False) -> list[Detection]:
        detector = make_detector()
        words = [detector._tokenizer.decode([token]) for token in detector._prompt.token_ids.tolist()]
        scores = torch.zeros(len(boxes), len(words))
        scores[:, words.index("shoes")] = torch.tensor([box[4] for box in boxes])
        output = RawOutput(scores, torch.tensor([box[:4] for box in boxes]))
        detector._batcher.run_all = lambda images, *_: [output] * len(images)  # type: ignore[method-assign]
        return detector.detect(Image.new("RGB", size), CancelToken(), thorough)

    return detect


def test_thorough_detection_has_a_lower_threshold(detect_boxes: DetectBoxes) -> None:
    boxes = [(0.5, 0.1 + 0.2 * number, 0.9, 0.1, score) for number, score in enumerate((0.14, 0.16, 0.29, 0.31))]
    normal, thorough = (detect_boxes((1000, 1000), *boxes, thorough=thorough) for thorough in (False, True))
    assert [detection.score for detection in normal] == pytest.approx([0.31])
    assert [detection.score for detection in thorough] == pytest.approx([0.31, 0.29, 0.16])


def test_boxes_are_in_pixels_of_the_photo(detect_boxes: DetectBoxes) -> None:
    (detection,) = detect_boxes((1000, 2000), (0.5, 0.25, 0.4, 0.1, 0.9))
    assert detection.box.as_list() == [300, 400, 700, 600] and detection.label == "shoes"


def test_boxes_are_clipped_to_the_photo_without_its_padding(detect_boxes: DetectBoxes) -> None:
    whole_input, only_padding = (0.5, 0.5, 1, 1, 0.9), (0.2, 0.1, 0.4, 0.1, 0.8)
    (detection,) = detect_boxes((200, 300), whole_input, only_padding)
    assert detection.box.as_list() == [0, 0, 200, 300]


def test_narrow_boxes_are_dropped_only_in_tiles(detect_boxes: DetectBoxes) -> None:
    assert len(detect_boxes((1000, 1000), (0.5, 0.5, 0.02, 0.9, 0.9))) == 1
    assert detect_boxes((5000, 1000), (0.5, 0.5, 0.19, 0.9, 0.9)) == []
    assert detect_boxes((500, 3000), (0.5, 0.5, 0.31, 0.3, 0.9)) == []
    assert len(detect_boxes((500, 3000), (0.5, 0.5, 0.33, 0.3, 0.9))) == 2


def test_boxes_of_tiles_are_moved_to_their_place_in_the_photo(detect_boxes: DetectBoxes) -> None:
    detections = detect_boxes((10_000, 1000), (0.5, 0.5, 0.3, 0.5, 0.9))
    lefts = [detection.box.x1 for detection in detections]
    assert lefts == pytest.approx([1050, 3750, 6450, 8050], abs=1e-3)


def test_labels_are_garment_kinds_or_words_of_the_prompt(detector: GroundingDinoDetector) -> None:
    detections = [detector.detect(make_photo(seed), CancelToken(), thorough=True) for seed in range(4)]
    labels = {detection.label for found in detections for detection in found}
    assert labels <= {"top", "shoes", "dress", "hat", "red", "a"}


@pytest.mark.parametrize("max_batch", [1, 4])
def test_concurrent_detections_equal_single_ones(make_detector: MakeDetector, max_batch: int) -> None:
    detector = make_detector(max_batch=max_batch)
    photos = [make_photo(seed) for seed in range(6)]

    def detect(photo: Image.Image) -> list[Detection]:
        return detector.detect(photo, CancelToken(), thorough=True)

    single = [detect(photo) for photo in photos]
    with ThreadPoolExecutor(8) as pool:
        concurrent = list(pool.map(detect, photos))
    for expected, actual in zip(single, concurrent, strict=True):
        assert [detection.label for detection in expected] == [detection.label for detection in actual]
        for first, second in zip(expected, actual, strict=True):
            assert np.allclose(first.box.as_list(), second.box.as_list(), atol=1)
            assert first.score == pytest.approx(second.score, abs=1e-2)


def test_the_network_checks_for_cancellation_between_layers(tiny_pair: ModelPair) -> None:
    network, checks = tiny_pair.build(), []
    with torch.inference_mode():
        text = network.encode_prompt(tiny_pair.prompt)
        network(torch.zeros(1, 3, 224, 224), text, lambda: checks.append(time.monotonic()))
    # eight blocks of the backbone, two halves of two layers of the encoder, three layers of the decoder
    assert len(checks) == 8 + 2 * 2 + 3


@pytest.mark.parametrize("by_deadline", [False, True])
def test_a_running_detection_stops_when_cancelled(detector: GroundingDinoDetector, by_deadline: bool) -> None:
    panorama = Image.effect_noise((30_000, 1000), 80).convert("RGB")
    token, started = CancelToken(time.monotonic() + 0.5 if by_deadline else None), time.monotonic()
    if not by_deadline:
        threading.Timer(0.5, token.cancel).start()
    with pytest.raises(DeadlineExceeded if by_deadline else Cancelled):
        detector.detect(panorama, token)
    stopped = time.monotonic()
    assert stopped - started < 2
    # the batch thread has stopped too: the next detection does not wait for the other eleven tiles
    detector.detect(Image.new("RGB", (800, 1000)), CancelToken())
    assert time.monotonic() - stopped < 2


def test_out_of_memory_halves_the_batch(make_detector: MakeDetector) -> None:
    detector = make_detector(max_batch=8)
    network, sizes = detector._network, []

    def run_with_little_memory(pixels: torch.Tensor, *more: Any) -> Any:
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return network(pixels, *more)

    def detect(seed: int) -> list[Detection]:
        return detector.detect(make_photo(seed), CancelToken(), thorough=True)

    detector._network = run_with_little_memory
    with ThreadPoolExecutor(8) as pool:
        detections = list(pool.map(detect, range(8)))
    detector._network = network
    assert max(sizes) > 2 and detector._batcher.max_batch <= 2
    assert [len(found) for found in detections] == [len(detect(seed)) for seed in range(8)]


def test_concurrent_vectors_equal_those_of_one_call(embedder: CropEmbedder) -> None:
    images = [make_photo(seed % 8).crop((seed, 0, 700 + seed, 900)) for seed in range(64)]
    expected = embedder.embed(images, CancelToken())
    with ThreadPoolExecutor(64) as pool:
        vectors = np.concatenate(list(pool.map(lambda image: embedder.embed([image], CancelToken()), images)))
    assert (expected * vectors).sum(1).min() > 0.9999


def test_transparent_parts_of_a_cut_out_are_embedded_as_white(embedder: CropEmbedder) -> None:
    cut_out = make_photo().convert("RGBA")
    cut_out.putalpha(0)
    vectors = embedder.embed([cut_out, Image.new("RGB", (50, 60), "white")], CancelToken())
    assert vectors[0] @ vectors[1] > 0.99999


def test_weights_are_memory_mapped_and_not_initialized(tiny_pair: ModelPair) -> None:
    # random initial weights would change the generator's state
    state = torch.random.get_rng_state()
    network = load_network(lambda: GroundingDino(reference_models.TINY), tiny_pair.checkpoint, "model")
    assert torch.equal(state, torch.random.get_rng_state())
    assert str(tiny_pair.checkpoint) in Path("/proc/self/maps").read_text() and [*network.parameters()]


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x04c__builtin__\nprint\n."])
def test_a_file_that_is_not_a_checkpoint_raises(tmp_path: Path, tiny_pair: ModelPair, content: bytes) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(Misconfigured, match=r"net\.pth does not hold the weights"):
        GroundingDinoDetector(tmp_path / "net.pth", tiny_pair.vocabulary, ENGINE, threading.Lock())


def test_weights_of_another_shape_raise(tiny_pair: ModelPair) -> None:
    with pytest.raises(Misconfigured, match="does not hold the weights"):
        GroundingDinoDetector(tiny_pair.checkpoint, tiny_pair.vocabulary, ENGINE, threading.Lock())


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, tiny_pair: ModelPair) -> None:
    class Malicious:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "run",))

    torch.save({"model": Malicious()}, tmp_path / "net.pth")
    with pytest.raises(Misconfigured):
        GroundingDinoDetector(
            tmp_path / "net.pth", tiny_pair.vocabulary, ENGINE, threading.Lock(), config=reference_models.TINY
        )
    assert not (tmp_path / "run").exists()


def test_a_prompt_that_is_too_long_raises(make_detector: MakeDetector) -> None:
    with pytest.raises(Misconfigured, match="PROMPT: The prompt has 303 word pieces; the limit is 256"):
        make_detector("red " * 300)

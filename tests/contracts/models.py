"""Contracts of the ports `Detector` and `Embedder`: checks that every implementation must pass."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, DeadlineExceeded
from lookalike.domain.model import Detection
from lookalike.domain.ports import Detector, Embedder, TextEmbedder
from tests.sample_photos import sample_photo

EXTREME_SIZES = [(1, 1), (3, 400), (400, 3), (640, 480)]


def scene(seed: int = 0) -> Image.Image:
    """Return a photo of several garments."""
    return sample_photo(seed, outfit=True)


def stopped_tokens() -> dict[type[Exception], CancelToken]:
    """Return tokens that stop the work, by the error they raise."""
    cancelled = CancelToken()
    cancelled.cancel()
    return {Cancelled: cancelled, DeadlineExceeded: CancelToken(0.0)}


def detections_lie_inside_the_photo_best_first(detector: Detector) -> None:
    for image in (scene(), *(Image.effect_noise(size, 60).convert("RGB") for size in EXTREME_SIZES)):
        detections = detector.detect(image, CancelToken(), True)
        scores = [detection.score or 0 for detection in detections]
        assert scores == sorted(scores, reverse=True) and all(0 < score <= 1 for score in scores)
        for detection in detections:
            box = detection.box
            assert detection.label
            assert 0 <= box.x1 < box.x2 <= image.width and 0 <= box.y1 < box.y2 <= image.height
            assert detection.cut_out(image).size[0] >= 1


def detection_is_deterministic(detector: Detector) -> None:
    first, second = (detector.detect(scene(), CancelToken()) for _ in range(2))
    assert summarize(first) == summarize(second)


def thorough_detection_uses_no_higher_threshold(detector: Detector) -> None:
    thorough, default = (detector.detect(scene(), CancelToken(), thorough) for thorough in (True, False))
    lowest_scores = [min((detection.score or 0 for detection in found), default=1) for found in (thorough, default)]
    assert lowest_scores[0] <= lowest_scores[1]


def detection_is_thread_safe(detector: Detector) -> None:
    images = [scene(seed) for seed in range(4)]
    expected = [summarize(detector.detect(image, CancelToken())) for image in images]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda image: detector.detect(image, CancelToken()), images)
        assert [summarize(detections) for detections in found] == expected


def detection_respects_the_cancel_token(detector: Detector) -> None:
    for error, token in stopped_tokens().items():
        with pytest.raises(error):
            detector.detect(scene(), token)


def embeddings_are_unit_vectors_in_order(embedder: Embedder) -> None:
    images = [scene(seed) for seed in range(3)]
    vectors = embedder.embed(images, CancelToken())
    assert vectors.shape == (3, embedder.dim) and vectors.dtype == np.float32 and np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    for vector, image in zip(vectors, images, strict=True):
        assert vector @ embedder.embed([image], CancelToken())[0] > 0.999


def images_of_all_sizes_and_modes_are_embedded(embedder: Embedder) -> None:
    images = [Image.new("RGB", size, "teal") for size in EXTREME_SIZES] + [Image.new("RGBA", (40, 60), (9, 9, 9, 0))]
    vectors = embedder.embed(images, CancelToken())
    assert vectors.shape == (len(images), embedder.dim) and np.isfinite(vectors).all()


def no_images_give_no_embeddings(embedder: Embedder) -> None:
    assert embedder.embed([], CancelToken()).shape == (0, embedder.dim)


def name_is_short_ascii_without_spaces(embedder: Embedder) -> None:
    assert embedder.name and embedder.name.isascii() and " " not in embedder.name and len(embedder.name) <= 64


def embedding_respects_the_cancel_token(embedder: Embedder) -> None:
    for error, token in stopped_tokens().items():
        with pytest.raises(error):
            embedder.embed([scene()], token)


def texts_have_unit_vectors_in_order(embedder: TextEmbedder) -> None:
    texts = ["a red dress", "black boots", "", "a long sentence about a coat " * 100]
    vectors = embedder.embed_texts(texts, CancelToken())
    assert vectors.shape == (4, embedder.dim) and vectors.dtype == np.float32 and np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    for vector, text in zip(vectors, texts, strict=True):
        assert vector @ embedder.embed_texts([text], CancelToken())[0] > 0.999
    assert embedder.embed_texts([], CancelToken()).shape == (0, embedder.dim)


def embedding_texts_is_thread_safe(embedder: TextEmbedder) -> None:
    texts = [f"{word} dress" for word in ("red", "blue", "black", "green")]
    expected = embedder.embed_texts(texts, CancelToken())
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda text: embedder.embed_texts([text], CancelToken())[0], texts * 4))
    assert np.allclose(rows, np.tile(expected, (4, 1)), atol=1e-5)


def embedding_texts_respects_the_cancel_token(embedder: TextEmbedder) -> None:
    for error, token in stopped_tokens().items():
        with pytest.raises(error):
            embedder.embed_texts(["a red dress"], token)


def summarize(detections: list[Detection]) -> list[tuple[list[float], str | None, float]]:
    """Return boxes, labels and rounded scores, which can be compared."""
    return [(detection.box.as_list(), detection.label, round(detection.score or 0, 3)) for detection in detections]


DETECTOR_CONTRACT: list[Callable[[Detector], None]] = [
    detections_lie_inside_the_photo_best_first,
    detection_is_deterministic,
    thorough_detection_uses_no_higher_threshold,
    detection_is_thread_safe,
    detection_respects_the_cancel_token,
]
EMBEDDER_CONTRACT: list[Callable[[Embedder], None]] = [
    embeddings_are_unit_vectors_in_order,
    images_of_all_sizes_and_modes_are_embedded,
    no_images_give_no_embeddings,
    name_is_short_ascii_without_spaces,
    embedding_respects_the_cancel_token,
]
TEXT_EMBEDDER_CONTRACT: list[Callable[[TextEmbedder], None]] = [
    texts_have_unit_vectors_in_order,
    embedding_texts_is_thread_safe,
    embedding_texts_respects_the_cancel_token,
]

"""Self-test and speed of a model folder, before it serves requests."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from PIL import Image, ImageDraw

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import Vectors
from lookalike.domain.ports import Detector, Embedder, TextEmbedder

TEXTS = ("a red summer dress", "black leather boots")
LONG_TEXT = "a long wool coat with a belt and two rows of buttons " * 40
SAME, DIFFERENT = 0.999, 0.99999
"""Cosine that two vectors of one input reach at least, and that two inputs stay below."""
REPEATS = 5
"""Runs whose median is the speed."""


def make_images() -> tuple[Image.Image, Image.Image]:
    """Return two pictures that every embedder must tell apart, of different sizes."""
    dress = Image.new("RGB", (300, 420), "white")
    ImageDraw.Draw(dress).polygon([(110, 40), (190, 40), (250, 380), (50, 380)], fill=(170, 30, 60))
    boots = Image.new("RGB", (360, 280), (225, 220, 210))
    for left in (60, 200):
        ImageDraw.Draw(boots).rectangle((left, 30, left + 60, 240), fill=(25, 25, 35))
    return dress, boots


def check_embedder(embedder: Embedder) -> None:
    """Raise `Misconfigured` if the vectors of images are unusable, with the reason."""
    images = make_images()
    _check_vectors("images", lambda count: embedder.embed(images[:count], CancelToken()), embedder.dim)


def check_texts(embedder: TextEmbedder) -> None:
    """Raise `Misconfigured` if the vectors of texts are unusable, or cannot be compared with those of images."""
    _check_vectors("texts", lambda count: embedder.embed_texts(TEXTS[:count], CancelToken()), embedder.dim)
    if not np.isfinite(embedder.embed_texts([LONG_TEXT, ""], CancelToken())).all():
        raise Misconfigured("The self-test failed: the vector of a long or an empty text is not finite")


def check_detector(detector: Detector) -> None:
    """Raise `Misconfigured` if two detections in one picture differ."""
    image = make_images()[0]
    found = [
        [
            (one.label, [round(side) for side in one.box.as_list()])
            for one in detector.detect(image, CancelToken(), True)
        ]
        for _ in range(2)
    ]
    if found[0] != found[1]:
        raise Misconfigured("The self-test failed: two detections in the same picture differ")


def measure_milliseconds(run: Callable[[], object]) -> float:
    """Return the median duration of a call in milliseconds. The network must have run before."""
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return round(median(seconds) * 1000, 1)


def _check_vectors(what: str, embed: Callable[[int], Vectors], dim: int) -> None:
    """`embed` returns the vectors of the first of two inputs, or of both."""
    both, single, again = embed(2), embed(1)[0], embed(1)[0]
    if both.shape != (2, dim):
        raise Misconfigured(f"The self-test failed: vectors of {what} have {both.shape[1]} numbers, not {dim}")
    problems = {
        "are not finite": not np.isfinite(both).all(),
        "are not of length 1": not np.allclose(np.linalg.norm(both, axis=1), 1, atol=1e-3),
        "differ between two runs": single @ again < SAME,
        "depend on what else is in the batch": single @ both[0] < SAME,
        "are the same for different inputs": both[0] @ both[1] > DIFFERENT,
    }
    if failed := [problem for problem, is_found in problems.items() if is_found]:
        raise Misconfigured(f"The self-test failed: vectors of {what} {failed[0]}; use another file or --variant")

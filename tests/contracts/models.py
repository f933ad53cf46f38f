"""The contracts of the ports `Detector` and `Embedder`: what every one of them must do, whatever it is made of."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, DeadlineExceeded
from lookalike.domain.model import Detection
from lookalike.domain.ports import Detector, Embedder
from lookalike.local.closet import draw_scene

SIZES = [(1, 1), (3, 400), (400, 3), (640, 480)]


def photo(seed: int = 0) -> Image.Image:
    return draw_scene(seed, worn=True).image


def stopped() -> dict[type[Exception], CancelToken]:
    """Tokens of work that must not go on, by what they raise."""
    cancelled = CancelToken()
    cancelled.cancel()
    return {Cancelled: cancelled, DeadlineExceeded: CancelToken(0.0)}


def garments_lie_inside_the_photo_best_first(detector: Detector) -> None:
    for picture in (photo(), *(Image.effect_noise(size, 60).convert("RGB") for size in SIZES)):
        found = detector.detect(picture, CancelToken(), True)
        scores = [one.score or 0 for one in found]
        assert scores == sorted(scores, reverse=True) and all(0 < score <= 1 for score in scores)
        for one in found:
            assert one.label
            assert 0 <= one.box.x1 < one.box.x2 <= picture.width and 0 <= one.box.y1 < one.box.y2 <= picture.height
            assert one.cut_out(picture).size[0] >= 1


def the_same_photo_gives_the_same(detector: Detector) -> None:
    assert told(detector.detect(photo(), CancelToken())) == told(detector.detect(photo(), CancelToken()))


def thoroughness_finds_no_less(detector: Detector) -> None:
    least = min((one.score or 0 for one in detector.detect(photo(), CancelToken(), True)), default=1)
    assert least <= min((one.score or 0 for one in detector.detect(photo(), CancelToken())), default=1)


def threads_do_not_touch(detector: Detector) -> None:
    photos = [photo(seed) for seed in range(4)]
    alone = [told(detector.detect(one, CancelToken())) for one in photos]
    with ThreadPoolExecutor(4) as pool:
        assert [told(one) for one in pool.map(lambda one: detector.detect(one, CancelToken()), photos)] == alone


def stopped_work_detects_nothing(detector: Detector) -> None:
    for error, token in stopped().items():
        with pytest.raises(error):
            detector.detect(photo(), token)


def rows_are_unit_and_in_order(embedder: Embedder) -> None:
    pictures = [photo(seed) for seed in range(3)]
    rows = embedder.embed(pictures, CancelToken())
    assert rows.shape == (3, embedder.dim) and rows.dtype == np.float32 and np.isfinite(rows).all()
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    for number, picture in enumerate(pictures):
        assert rows[number] @ embedder.embed([picture], CancelToken())[0] > 0.999


def any_shape_and_a_cut_out_are_embedded(embedder: Embedder) -> None:
    pictures = [Image.new("RGB", size, "teal") for size in SIZES] + [Image.new("RGBA", (40, 60), (9, 9, 9, 0))]
    rows = embedder.embed(pictures, CancelToken())
    assert rows.shape == (len(pictures), embedder.dim) and np.isfinite(rows).all()


def nothing_comes_of_nothing(embedder: Embedder) -> None:
    assert embedder.embed([], CancelToken()).shape == (0, embedder.dim)


def a_name_tells_it_from_others(embedder: Embedder) -> None:
    assert embedder.name and embedder.name.isascii() and " " not in embedder.name and len(embedder.name) <= 64


def stopped_work_embeds_nothing(embedder: Embedder) -> None:
    for error, token in stopped().items():
        with pytest.raises(error):
            embedder.embed([photo()], token)


def told(found: list[Detection]) -> list[tuple[list[float], str | None, float]]:
    return [(one.box.as_list(), one.label, round(one.score or 0, 3)) for one in found]


OF_DETECTORS: list[Callable[[Detector], None]] = [
    garments_lie_inside_the_photo_best_first,
    the_same_photo_gives_the_same,
    thoroughness_finds_no_less,
    threads_do_not_touch,
    stopped_work_detects_nothing,
]
OF_EMBEDDERS: list[Callable[[Embedder], None]] = [
    rows_are_unit_and_in_order,
    any_shape_and_a_cut_out_are_embedded,
    nothing_comes_of_nothing,
    a_name_tells_it_from_others,
    stopped_work_embeds_nothing,
]

"""Evaluation of embedders on photos whose matches are known: equal to a plain computation, photo by photo."""

import math
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from lookalike import images
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import BadRequest, InvalidImage, Unavailable
from lookalike.domain.model import Detection, Vectors
from lookalike.usecases.evaluation import (
    METRICS,
    EmbeddedPhotos,
    Evaluation,
    EvaluationPhoto,
    EvaluationReport,
    JudgedPhotos,
    Query,
    System,
    rank_photos,
)
from lookalike.usecases.models import Models
from tests.fakes.models import FakeDetector, FakeEmbedder, make_detection
from tests.usecases.index_harness import unit_vectors

SIZE = (40, 30)
Color = tuple[int, int, int]


class ConstantEmbedder(FakeEmbedder):
    """Cannot tell images apart."""

    name = "constant-1"

    def embed(self, images: Sequence[Image.Image], cancel: CancelToken) -> Vectors:
        return np.tile(np.array([1, 0, 0], np.float32), (len(images), 1))


def png(*colors: Color) -> bytes:
    """Return a photo of vertical stripes, 20 pixels wide."""
    image = Image.new("RGB", (20 * len(colors), 30))
    for number, color in enumerate(colors):
        image.paste(color, (20 * number, 0, 20 * number + 20, 30))
    return images.png(image)


def photo(name: str, *colors: Color) -> EvaluationPhoto:
    data = png(*colors)
    return EvaluationPhoto(name, lambda: data)


def broken(name: str, error: Exception | None = None) -> EvaluationPhoto:
    def read() -> bytes:
        raise error or InvalidImage("The photo is corrupt")

    return EvaluationPhoto(name, read)


def products(*groups: Sequence[EvaluationPhoto]) -> JudgedPhotos:
    """Each group shows one product."""
    photos = [one for group in groups for one in group]
    starts = np.cumsum([0, *map(len, groups)])
    queries = []
    for cluster, group in enumerate(groups):
        members = np.arange(starts[cluster], starts[cluster + 1])
        queries += [Query(int(member), members, np.ones(len(group)), cluster) for member in members if len(group) > 1]
    return JudgedPhotos(photos, queries, np.arange(len(photos)))


def system(*detections: Detection, embedder: FakeEmbedder | None = None) -> System:
    return System("MODELS=fake", Models(FakeDetector(*detections), embedder or FakeEmbedder(), 1))


def evaluate(judged: JudgedPhotos, *systems: System, whole_photo: bool = False) -> EvaluationReport:
    return Evaluation(systems or (system(),), whole_photo).run(judged)


def means(report: EvaluationReport, number: int = 0) -> dict[str, float]:
    return {name: estimate.mean for name, estimate in zip(METRICS, report.systems[number].estimates, strict=True)}


RED, DARK_RED, GREEN, DARK_GREEN, BLUE = (200, 0, 0), (120, 0, 0), (0, 200, 0), (0, 120, 0), (0, 0, 200)


def test_similar_photos_of_a_product_find_each_other() -> None:
    report = evaluate(products([photo("a", RED), photo("b", DARK_RED)], [photo("c", GREEN), photo("d", DARK_GREEN)]))
    assert means(report) == {"R@1": 1, "R@10": 1, "P@5": 0.2, "mAP": 1, "nDCG@10": 1}
    assert (report.photos, report.queries, report.products) == (4, ["a", "b", "c", "d"], 2)
    assert not report.worst_queries(9)


def test_wrong_and_missed_photos_are_named() -> None:
    judged = products([photo("red", RED), photo("green", GREEN)], [photo("dark", DARK_RED)])
    report = evaluate(judged)
    red = report.systems[0].rankings[0]
    assert [one.name for one in red.wrong] == ["dark"] and (red.missed.name, red.missed.rank) == ("green", 2)
    assert red.wrong[0].similarity > 0.99 > red.missed.similarity
    assert report.worst_queries(9) == [0, 1] or report.worst_queries(9) == [1, 0]
    assert means(report)["mAP"] == 0.5 and means(report)["R@1"] == 0
    # one of the two queries is enough to see the discount of the second place
    assert report.systems[0].values[0].tolist() == pytest.approx([0, 1, 0.2, 0.5, 1 / math.log2(3)])


def test_embedder_that_cannot_tell_photos_apart_finds_nothing_first() -> None:
    """Otherwise photos of the first product would profit from their position."""
    judged = products([photo("a", RED), photo("b", DARK_RED)], [photo("c", GREEN), photo("d", BLUE)])
    report = evaluate(judged, system(embedder=ConstantEmbedder()))
    assert means(report)["R@1"] == 0 and means(report)["mAP"] == pytest.approx(1 / 3)


def test_photos_are_as_similar_as_their_most_similar_garments() -> None:
    """Both photos of the first product contain green, the others do not."""
    judged = products(
        [photo("a", RED, GREEN), photo("b", GREEN, BLUE)], [photo("c", RED, BLUE), photo("d", DARK_RED, BLUE)]
    )
    garments = system(make_detection(0), make_detection(20))
    report = evaluate(judged, garments)
    assert report.systems[0].garments == 8
    assert report.systems[0].rankings[1].missed.name == "a"
    assert evaluate(judged, garments, whole_photo=True).systems[0].garments == 4


def test_garments_are_detected_as_in_uploads() -> None:
    detector = FakeDetector()
    models = Models(detector, FakeEmbedder(), 1)
    judged = products([photo("a", RED), photo("b", RED)])
    evaluate(judged, System("x", models))
    # the first call is the warm-up
    assert detector.thorough_calls == [False, True, True]
    report = evaluate(judged, System("x", models), whole_photo=True)
    assert detector.thorough_calls == [False, True, True] and report.systems[0].garments == 2


def test_unreadable_photos_are_skipped_and_reported() -> None:
    judged = products(
        [photo("a", RED), broken("b"), photo("c", DARK_RED)],
        [photo("d", GREEN), broken("e")],
        [EvaluationPhoto("text", lambda: b"no photo"), photo("f", BLUE)],
    )
    counted = list[int]()
    report = Evaluation([system()]).run(judged, counted.append)
    assert report.queries == ["a", "c"] and (report.photos, report.skipped_queries) == (4, 5)
    assert report.skipped.keys() == {"b", "e", "text"} and report.skipped["b"] == "The photo is corrupt"
    assert means(report)["mAP"] == 1 and sum(counted) == 7


def test_evaluation_without_readable_pair_is_an_error() -> None:
    with pytest.raises(BadRequest, match=r"b: The photo is corrupt"):
        evaluate(products([photo("a", RED), broken("b")]))


def test_temporary_errors_end_the_evaluation() -> None:
    with pytest.raises(Unavailable):
        evaluate(products([photo("a", RED), broken("b", Unavailable("The bucket cannot be reached"))]))


def test_graded_relevance_and_a_gallery_without_the_queries() -> None:
    photos = [photo("query", RED), photo("best", (190, 0, 0)), photo("good", GREEN), photo("other", BLUE)]
    graded = [Query(0, np.array([1, 2]), np.array([1.0, 3.0]), 0), Query(3, np.array([2]), np.array([1.0]), 1)]
    report = evaluate(JudgedPhotos(photos, graded, np.array([1, 2, 3])))
    # for "query": best (1), then good (3) and other (0), which are equally similar: the relevant one comes last
    expected = (1 + 3 / math.log2(4)) / (3 + 1 / math.log2(3))
    assert report.systems[0].values[0, METRICS.index("nDCG@10")] == pytest.approx(expected)
    # "other" is in the gallery, but does not find itself; "query" is not in the gallery
    assert {one.name for one in report.systems[0].rankings[1].wrong} == {"best"}


def test_two_systems_are_compared_on_the_same_queries() -> None:
    groups = [[photo(f"{n}a", (n * 30, 250 - 30 * n, 9)), photo(f"{n}b", (n * 30, 248 - 30 * n, 9))] for n in range(8)]
    report = evaluate(products(*groups), system(), system(embedder=ConstantEmbedder()))
    first, second = means(report), means(report, 1)
    assert first["R@1"] == 1 and second["R@1"] == 0
    for name, difference in zip(METRICS, report.differences, strict=True):
        assert difference.mean == pytest.approx(second[name] - first[name])
    assert report.differences[0].differs_from_zero and (report.ndcg_changes < 0).all()
    assert len(report.worst_queries(20)) == 16 and len(report.worst_queries(3)) == 3
    assert report.systems[1].embedder == "constant-1" and report.systems[1].bytes_per_garment == 12


def naive_metrics(
    vectors: Sequence[Vectors], relevant: dict[int, float], own: int, gallery: Sequence[int]
) -> list[float]:
    """Compute the metrics of one query with loops."""
    similarity = {other: max(float(a @ b) for a in vectors[own] for b in vectors[other]) for other in gallery}
    similarity.pop(own, None)
    order = sorted(similarity, key=lambda other: -similarity[other])
    gains = [relevant.get(other, 0.0) if other != own else 0.0 for other in order]
    hits = [place for place, gain in enumerate(gains, 1) if gain]
    precision = [sum(1 for hit in hits if hit <= place) / place for place in hits]

    def dcg(values: list[float]) -> float:
        return sum(gain / math.log2(place + 1) for place, gain in enumerate(values[:10], 1))

    return [
        float(hits[0] <= 1),
        float(hits[0] <= 10),
        sum(1 for hit in hits if hit <= 5) / 5,
        sum(precision) / len(hits),
        dcg(gains) / dcg(sorted(gains, reverse=True)),
    ]


@pytest.mark.parametrize("seed", range(3))
def test_metrics_equal_a_computation_with_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = [unit_vectors(int(random.integers(1, 4))) for _ in range(70)]
    gallery = np.sort(random.permutation(70)[:50])
    queries = []
    for number in range(40):
        relevant = random.permutation(np.setdiff1d(gallery, [number]))[: random.integers(1, 13)]
        queries.append(Query(number, relevant, random.integers(1, 4, len(relevant)).astype(np.float64), number))
    is_searched = np.isin(np.arange(70), gallery)
    result = rank_photos(system(), EmbeddedPhotos(vectors, [0.1]), queries, is_searched, [str(n) for n in range(70)])
    for query, values in zip(queries, result.values, strict=True):
        relevant_values = dict(zip(query.relevant.tolist(), query.relevance.tolist(), strict=True))
        expected = naive_metrics(vectors, relevant_values, query.photo, gallery.tolist())
        assert values.tolist() == pytest.approx(expected)


def measure_peak(function: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_square_of_the_photos() -> None:
    count = 3000
    photos, names = EmbeddedPhotos(list(unit_vectors(count)[:, None]), [0.1]), [str(number) for number in range(count)]
    members = [np.arange(start, start + 100) for start in range(0, count, 100)]
    ones = np.ones(100)
    queries = [Query(number, members[number // 100], ones, number // 100) for number in range(count)]
    peak = measure_peak(lambda: rank_photos(system(), photos, queries, np.ones(count, np.bool_), names))
    # the similarities of all pairs alone would take 36 MB in float32
    assert peak < 25e6

"""Tests of merging the boxes of one garment. They need no torch."""

from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.grounding_dino.merging import TileDetection, merge_detections
from lookalike.domain.model import Box


def make_detection(
    x: float, y: float, width: float, height: float, label: str = "dress", score: float = 0.5, tile: int = 0
) -> TileDetection:
    return TileDetection(Box(x, y, x + width, y + height), label, score, tile)


def test_the_best_of_overlapping_boxes_is_kept() -> None:
    best = make_detection(0, 0, 100, 200, score=0.9)
    others = make_detection(5, 5, 100, 200), make_detection(0, 0, 100, 195, "skirt", 0.6)
    assert merge_detections([others[0], best, others[1]]) == [best]


def test_a_box_with_another_label_is_dropped_only_if_nearly_the_same() -> None:
    best = make_detection(0, 0, 100, 200, score=0.9)
    assert merge_detections([best, make_detection(0, 50, 100, 150)]) == [best]
    lower_half = make_detection(0, 90, 100, 110, "skirt")
    assert merge_detections([best, lower_half]) == [best, lower_half]
    assert merge_detections([best, make_detection(0, 50, 100, 150, "skirt")]) == [best]


def test_a_single_shoe_inside_a_pair_is_dropped() -> None:
    pair = make_detection(0, 0, 200, 80, "shoes", 0.6)
    shoe, bag = make_detection(10, 5, 80, 70, "shoes", 0.5), make_detection(10, 5, 80, 70, "bag", 0.4)
    assert merge_detections([pair, shoe, bag]) == [pair, bag]


def test_garments_side_by_side_are_kept() -> None:
    neighbors = [make_detection(0, 0, 100, 200, score=0.9), make_detection(90, 0, 100, 200, score=0.8)]
    assert merge_detections(neighbors) == neighbors


def test_parts_of_a_garment_in_two_tiles_are_joined() -> None:
    left_part = make_detection(2800, 100, 200, 500, score=0.7)
    right_part = make_detection(2700, 110, 500, 490, score=0.6, tile=1)
    other = make_detection(2950, 700, 200, 200, tile=1)
    joined, kept = merge_detections([left_part, right_part, other])
    assert joined == TileDetection(Box(2700, 100, 3200, 600), "dress", 0.7, 0) and kept == other


DETECTIONS = st.builds(
    make_detection,
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.floats(1, 500),
    st.floats(1, 500),
    st.sampled_from(["dress", "skirt"]),
    st.floats(0.1, 1),
    st.integers(0, 2),
)


@given(st.lists(DETECTIONS, max_size=20))
def test_merging_keeps_the_best_score_and_the_order(detections: list[TileDetection]) -> None:
    merged = merge_detections(detections)
    assert len(merged) <= len(detections) and bool(merged) == bool(detections)
    scores, all_scores = [detection.score for detection in merged], [detection.score for detection in detections]
    assert scores == sorted(scores, reverse=True)
    assert max(scores, default=0) == max(all_scores, default=0)
    assert set(scores) <= set(all_scores)

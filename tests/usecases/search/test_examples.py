"""Searches by several examples: stored garments, photos and parts of photos, with weights."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.domain.errors import InvalidField, InvalidImage, NotFound
from lookalike.domain.model import Box, Calibration
from lookalike.usecases.models import Models
from lookalike.usecases.search import GarmentExample, Include, PhotoExample, SearchRequest
from lookalike.usecases.search.request import Example
from tests.usecases.search.harness import SearchHarness, encode_stripes, photo_names


def search_names(harness: SearchHarness, *examples: Example, limit: int = 10) -> list[str]:
    """Return the photos of the matches, best first."""
    return photo_names(harness.run(SearchRequest(examples, limit, include=Include.NONE)))[0]


def refuse_to_load() -> Models:
    raise AssertionError("a model was loaded")


def test_a_stored_garment_finds_itself_without_loading_a_model(harness: SearchHarness) -> None:
    harness.search = replace(harness.search, load_models=refuse_to_load)
    request = SearchRequest([GarmentExample("red_segment_0")], include=Include.NONE)
    (best, *_) = harness.run(request).groups[0].matches
    assert best.segment.photo == "red" and best.similarity == pytest.approx(1)
    by_number = replace(request, examples=[GarmentExample(best.segment.row_id)])
    assert photo_names(harness.run(by_number)) == photo_names(harness.run(request))
    without_itself = replace(request, exclude_original=True)
    assert "red" not in photo_names(harness.run(without_itself))[0]


def test_an_unknown_garment_is_named_in_the_error(harness: SearchHarness) -> None:
    with pytest.raises(NotFound, match=r"query\[1\]\.id: there is no stored garment 4711") as caught:
        search_names(harness, GarmentExample("red_segment_0"), GarmentExample(4711, field_prefix="query[1]."))
    assert caught.value.details == {"field": "query[1].id"}


def test_a_garment_without_a_vector_of_the_embedder_is_not_compared(harness: SearchHarness) -> None:
    harness.search = replace(harness.search, embedder="another")
    with pytest.raises(NotFound, match="lookalike reembed"):
        search_names(harness, GarmentExample("red_segment_0"))


def test_a_negative_example_pushes_away(harness: SearchHarness) -> None:
    harness.add_photo("purple", "#ff0080")
    harness.add_photo("orange", "#ffc000")
    red, blue = GarmentExample("red_segment_0"), GarmentExample("blue_segment_0", -0.6)
    assert search_names(harness, red).index("purple") < search_names(harness, red).index("orange")
    pushed = search_names(harness, red, blue)
    assert pushed.index("orange") < pushed.index("purple") and pushed[-1] == "blue"


def test_examples_that_cancel_each_other_out_are_refused(harness: SearchHarness) -> None:
    with pytest.raises(InvalidField, match="cancel each other out"):
        search_names(harness, GarmentExample("red_segment_0"), GarmentExample("red_segment_0", -1))


weights = st.floats(-1, 1).filter(lambda weight: abs(weight) > 0.01)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["red", "green", "blue", "#ff8000", "#102030"]), weights), min_size=1, max_size=5
    )
)
def test_weighted_examples_equal_brute_force(harness: SearchHarness, drawn: list[tuple[str, float]]) -> None:
    stored = {"red", "green", "blue"}
    examples: list[Example] = [
        GarmentExample(f"{color}_segment_0", weight)
        if color in stored
        else PhotoExample(encode_stripes(color), None, weight)
        for color, weight in drawn
    ]
    vectors = [harness.embed(color) for color, _ in drawn]
    total = np.sum([weight * vector.astype(np.float64) for (_, weight), vector in zip(drawn, vectors, strict=True)], 0)
    if np.linalg.norm(total) < 1e-2:
        return
    expected = {name: float(harness.embed(name) @ total / np.linalg.norm(total)) for name in stored}
    matches = harness.run(SearchRequest(examples, include=Include.NONE)).groups[0].matches
    assert {match.segment.photo: match.similarity for match in matches} == pytest.approx(expected, abs=1e-5)
    similarities = [match.similarity or 0.0 for match in matches]
    assert similarities == sorted(similarities, reverse=True)


class TestBox:
    """Searches for a part of a photo."""

    def test_only_the_box_is_compared(self, harness: SearchHarness) -> None:
        photo = encode_stripes("green", "red", "blue")
        assert search_names(harness, PhotoExample(photo, Box(40, 0, 60, 30)))[0] == "blue"
        result = harness.run(SearchRequest([PhotoExample(photo, Box(20, 5, 40, 25))], include=Include.NONE))
        (group,) = result.groups
        assert group.matches[0].similarity == pytest.approx(1) and (result.width, result.height) == (60, 30)
        assert group.garment and group.garment.box == Box(20, 5, 40, 25)

    def test_the_box_is_clipped_to_the_photo(self, harness: SearchHarness) -> None:
        example = PhotoExample(encode_stripes("green", "red"), Box(20, -50, 4000, 4000))
        assert search_names(harness, example)[0] == "red"

    @pytest.mark.parametrize("box", [Box(60, 0, 90, 30), Box(30, 10, 20, 20), Box(5, 5, 5, 20), Box(-9, -9, 0, 0)])
    def test_a_box_of_which_nothing_is_left_is_refused(self, harness: SearchHarness, box: Box) -> None:
        example = PhotoExample(encode_stripes("green", "red"), box, field_prefix="query[0].")
        with pytest.raises(InvalidField, match=r"query\[0\]\.bounding_box: nothing of .* photo of 40 x 30 pixels"):
            search_names(harness, example)

    def test_the_field_of_an_unreadable_photo_is_named(self, harness: SearchHarness) -> None:
        with pytest.raises(InvalidImage) as caught:
            search_names(harness, PhotoExample(b"no photo", field_prefix="query[0]."))
        assert caught.value.details["field"] == "query[0].image"


class TestSegmentedPhoto:
    """Option `segment`."""

    @pytest.mark.parametrize(
        "examples",
        [
            [],
            [GarmentExample(1)],
            [PhotoExample(encode_stripes("red")), GarmentExample(1)],
            [PhotoExample(encode_stripes("red"), Box(0, 0, 9, 9))],
        ],
    )
    def test_segment_needs_exactly_one_photo_without_box(self, harness: SearchHarness, examples: list[Example]) -> None:
        with pytest.raises(InvalidField, match="exactly one example"):
            harness.run(SearchRequest(examples, segment=True))

    def test_segmented_photos_have_no_pages(self, harness: SearchHarness) -> None:
        request = SearchRequest([PhotoExample(encode_stripes("red"))], 1, segment=True, include=Include.NONE)
        assert harness.run(request).next_cursor is None


class TestProbability:
    """The calibrated probability that a match shows the same garment."""

    @pytest.mark.parametrize(
        ("examples", "is_present"),
        [
            ([GarmentExample("red_segment_0")], True),
            ([PhotoExample(encode_stripes("red"))], True),
            ([GarmentExample("red_segment_0", -1)], False),
            ([GarmentExample("red_segment_0"), GarmentExample("blue_segment_0")], False),
        ],
    )
    def test_only_a_single_positive_image_has_one(
        self, harness: SearchHarness, examples: list[Example], is_present: bool
    ) -> None:
        harness.search = replace(harness.search, calibration=Calibration(3, -9))
        matches = harness.run(SearchRequest(examples, include=Include.NONE)).groups[0].matches
        assert [match.match_probability is not None for match in matches] == [is_present] * 3

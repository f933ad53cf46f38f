"""Search with fakes: ranking, filters, duplicates, explanations and concurrent deletions."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from lookalike.domain.errors import Busy, InvalidImage
from lookalike.domain.filter import Condition, Filter
from lookalike.domain.model import Calibration, ProductDetails, Segment
from lookalike.usecases.explanation import Explanation
from lookalike.usecases.models import Models
from lookalike.usecases.search import Include, SearchRequest
from tests.fakes.catalog import FakeCatalog
from tests.fakes.models import FakeEmbedder, make_detection
from tests.usecases.search.harness import SearchHarness, encode_stripes, photo_names


def test_search_returns_the_most_similar_first(harness: SearchHarness) -> None:
    result = harness.run_search(encode_stripes("#e02010"), SearchRequest(limit=2, include=Include.NONE))
    assert photo_names(result)[0][0] == "red" and len(photo_names(result)[0]) == 2
    assert (result.width, result.height) == (20, 30)


def test_search_returns_a_group_for_each_garment(harness: SearchHarness) -> None:
    harness.detector.detections = [make_detection(0), make_detection(20, "skirt")]
    request = SearchRequest(limit=1, segment=True, include=Include.NONE)
    result = harness.run_search(encode_stripes("blue", "red"), request)
    assert photo_names(result) == [["blue"], ["red"]]
    assert harness.detector.thorough_calls[-1] is False
    assert [group.garment and group.garment.label for group in result.groups] == ["top", "skirt"]
    assert len(result.best_matches(5)) == 2


def test_search_uses_the_whole_photo_if_no_garment_is_found(harness: SearchHarness) -> None:
    result = harness.run_search(encode_stripes("green"), SearchRequest(segment=True, include=Include.NONE))
    assert len(result.groups) == 1 and result.groups[0].garment and result.groups[0].garment.label is None


def test_best_matches_contain_each_segment_once(harness: SearchHarness) -> None:
    harness.detector.detections = [make_detection(0), make_detection(20)]
    request = SearchRequest(limit=3, segment=True, include=Include.NONE)
    result = harness.run_search(encode_stripes("red", "#f00808"), request)
    best = [match.segment.photo for match in result.best_matches(3)]
    assert best[0] == "red" and sorted(best) == ["blue", "green", "red"]


class DeletingCatalog(FakeCatalog):
    """Deletes a segment between the search in the index and the query for its row."""

    segment_to_delete: str | None = None

    def segments(self, row_ids: Sequence[int]) -> dict[int, Segment]:
        if self.segment_to_delete:
            name, self.segment_to_delete = self.segment_to_delete, None
            self.delete_segment(name)
        return super().segments(row_ids)


def test_search_replaces_a_match_that_is_deleted_meanwhile(harness: SearchHarness) -> None:
    catalog = DeletingCatalog()
    catalog.__dict__.update(harness.catalog.__dict__)
    harness.search = harness.make_search(catalog)
    catalog.segment_to_delete = "red_segment_0"
    result = harness.run_search(encode_stripes("#fe0000"), SearchRequest(limit=2, include=Include.NONE))
    assert sorted(photo_names(result)[0]) == ["blue", "green"]


def test_search_omits_and_logs_a_match_without_image(harness: SearchHarness, caplog: pytest.LogCaptureFixture) -> None:
    harness.store.delete("red/segment_0.png")
    result = harness.run_search(encode_stripes("red"), SearchRequest(limit=3))
    assert sorted(photo_names(result)[0]) == ["blue", "green"]
    (record,) = [record for record in caplog.records if record.message == "A row has no image in the store"]
    assert vars(record)["path"] == "red/segment_0.png"


def test_search_rejects_an_invalid_image(harness: SearchHarness) -> None:
    with pytest.raises(InvalidImage):
        harness.run_search(b"no photo", SearchRequest())


def test_search_raises_busy_when_the_queue_is_full(harness: SearchHarness) -> None:
    harness.models = Models(harness.detector, FakeEmbedder(), max_waiting=0)
    with pytest.raises(Busy):
        harness.run_search(encode_stripes("red"), SearchRequest())


def test_matches_have_a_probability_if_the_embedder_is_calibrated(harness: SearchHarness) -> None:
    (first, *_) = harness.run_search(encode_stripes("red"), SearchRequest()).groups[0].matches
    assert first.match_probability is None
    harness.search = replace(harness.search, calibration=Calibration(3, -9))
    request = SearchRequest(limit=3, include=Include.NONE)
    matches = harness.run_search(encode_stripes("red"), request).groups[0].matches
    probabilities = [match.match_probability or 0.0 for match in matches]
    assert probabilities[0] > 0.99 and probabilities == sorted(probabilities, reverse=True)


class TestFilter:
    """Search with a filter."""

    def test_filter_applies_before_the_search(self, harness: SearchHarness) -> None:
        """Nearer segments that do not match the filter do not reduce the number of matches."""
        for number in range(20):
            harness.add_photo(f"red-{number}", "red")
        harness.add_photo("sold", "blue")
        on_sale = [ProductDetails(name, sale_status="sale") for name in ("sold", "blue")]
        harness.segments.put_details(on_sale)
        request = SearchRequest(limit=5, include=Include.NONE, filter={"sale_status": Condition(("sale",))})
        assert sorted(photo_names(harness.run_search(encode_stripes("red"), request))[0]) == ["blue", "sold"]
        harness.segments.delete_segment("sold_segment_0")
        assert photo_names(harness.run_search(encode_stripes("red"), request)) == [["blue"]]

    def test_filter_applies_to_each_garment(self, harness: SearchHarness) -> None:
        harness.segments.put_details([ProductDetails("green", brand="Marlow")])
        harness.detector.detections = [make_detection(0), make_detection(20, "skirt")]
        wanted = {"brand": Condition(("Marlow",))}
        request = SearchRequest(limit=3, segment=True, include=Include.NONE, filter=wanted)
        result = harness.run_search(encode_stripes("blue", "red"), request)
        assert photo_names(result) == [["green"], ["green"]]

    def test_filter_without_matching_segment_returns_nothing(self, harness: SearchHarness) -> None:
        result = harness.run_search(encode_stripes("red"), SearchRequest(filter={"label": Condition(("hat",))}))
        assert photo_names(result) == [[]] and result.index.rows == 3


class TestDuplicates:
    """Options `exclude_original` and `collapse`."""

    def test_exclude_original_omits_all_segments_of_the_query_photo(self, harness: SearchHarness) -> None:
        for name in ("copy", "second-copy"):
            harness.add_photo(name, "red")
        request = SearchRequest(limit=2, include=Include.NONE, exclude_original=True)
        assert photo_names(harness.run_search(encode_stripes("red"), request)) == [["green", "blue"]]
        # other bytes: not the same photo
        assert photo_names(harness.run_search(encode_stripes("#fe0000"), request))[0][0] == "red"

    def test_collapse_returns_one_of_identical_images(self, harness: SearchHarness) -> None:
        for number in range(30):
            harness.add_photo(f"red-{number}", "red")
        request = SearchRequest(limit=3, include=Include.NONE, collapse=True)
        (names,) = photo_names(harness.run_search(encode_stripes("#f01000"), request))
        assert names[0] == "red" and sorted(names) == ["blue", "green", "red"]
        similar_only = replace(request, min_similarity=0.9)
        assert photo_names(harness.run_search(encode_stripes("#f01000"), similar_only)) == [["red"]]

    def test_collapse_examines_a_limited_number_of_rows(
        self, harness: SearchHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lookalike.usecases.search.ranking.MAX_CANDIDATES", 16)
        for number in range(40):
            harness.add_photo(f"red-{number}", "red")
        request = SearchRequest(limit=3, include=Include.NONE, collapse=True)
        assert photo_names(harness.run_search(encode_stripes("#f01000"), request)) == [["red"]]

    def test_collapse_uses_the_threshold_of_the_calibration(self, harness: SearchHarness) -> None:
        """Shades of red are duplicates with a threshold of 0.999, and not without one."""
        harness.search = replace(harness.search, calibration=Calibration(3, -9, duplicate_threshold=0.999))
        for number in range(30):
            harness.add_photo(f"red-{number}", f"rgb({250 - number // 3}, 0, {number % 3})")
        request = SearchRequest(limit=3, include=Include.NONE, collapse=True)
        (names,) = photo_names(harness.run_search(encode_stripes("#d02000"), request))
        assert names[0].startswith("red") and sorted(names)[:2] == ["blue", "green"]
        harness.search = replace(harness.search, calibration=None)
        (names,) = photo_names(harness.run_search(encode_stripes("#d02000"), request))
        assert all(name.startswith("red") for name in names)

    def test_collapse_keeps_different_images_with_equal_similarity(self, harness: SearchHarness) -> None:
        request = SearchRequest(limit=3, include=Include.NONE, collapse=True)
        matches = harness.run_search(encode_stripes("white"), request).groups[0].matches
        similarities = {match.segment.photo: match.similarity or 0.0 for match in matches}
        assert similarities["red"] == pytest.approx(similarities["blue"], abs=1e-9) and len(matches) == 3

    def test_best_matches_contain_no_duplicates_of_other_groups(self, harness: SearchHarness) -> None:
        harness.search = replace(harness.search, calibration=Calibration(3, -9, duplicate_threshold=0.999))
        harness.add_photo("copy", "#fa0500")
        harness.detector.detections = [make_detection(0), make_detection(20)]
        request = SearchRequest(limit=5, segment=True, include=Include.NONE, collapse=True)
        photo = encode_stripes("red", "#fa0700")
        result = harness.run_search(photo, request)
        assert [names[0] for names in photo_names(result)] == ["red", "copy"]
        assert sorted(match.segment.photo for match in result.best_matches(5)) == ["blue", "green", "red"]
        assert len(harness.run_search(photo, replace(request, collapse=False)).best_matches(5)) == 4


class CountingCatalog(FakeCatalog):
    """Counts queries for product details."""

    details_calls = 0

    def details(self, image_ids: Sequence[str]) -> dict[str, ProductDetails]:
        self.details_calls += 1
        return super().details(image_ids)


class TestExplanations:
    """Explanations of the matches."""

    def test_explanation_compares_label_and_color(self, harness: SearchHarness) -> None:
        harness.detector.detections = [make_detection(0)]
        harness.upload_photo("top", encode_stripes("#fe0000"))
        result = harness.run_search(encode_stripes("red"), SearchRequest(segment=True, include=Include.NONE))
        explanations = {match.segment.photo: match.explanation for match in result.groups[0].matches}
        assert explanations["top"].same_label is True
        assert explanations["top"].colour_distance == pytest.approx(0.3, abs=0.2)
        assert explanations["red"] == Explanation(), "whole photos have no label and no color"
        whole = harness.run_search(encode_stripes("red"), SearchRequest(include=Include.NONE))
        assert all(match.explanation == Explanation() for match in whole.groups[0].matches)

    def test_explanation_lists_details_shared_with_the_uploaded_query_photo(self, harness: SearchHarness) -> None:
        details = {"red": ("Marlow", "summer"), "green": ("Marlow", "winter")}
        harness.segments.put_details(
            [ProductDetails(name, brand=brand, season=season) for name, (brand, season) in details.items()]
        )
        request = SearchRequest(include=Include.NONE, exclude_original=True)
        matches = harness.run_search(encode_stripes("red"), request).best_matches(5)
        shared = {match.segment.photo: match.explanation.shared_details for match in matches}
        assert shared == {"green": ["brand"], "blue": []}
        # not uploaded: nothing is known about its product
        unknown = harness.run_search(encode_stripes("#fe0000"), request).best_matches(5)
        assert [match.explanation.shared_details for match in unknown] == [None] * 3
        filtered = replace(request, filter={"season": Condition(("winter",))})
        matches = harness.run_search(encode_stripes("#fe0000"), filtered).best_matches(5)
        assert [match.explanation.shared_details for match in matches] == [["season"]]

    @pytest.mark.parametrize(
        ("color", "wanted", "calls"),
        [
            ("#fe0000", {}, 0),
            ("#fe0000", {"score": Condition((), None, 9), "season": Condition(("summer", "winter"))}, 0),
            ("#fe0000", {"season": Condition(("summer",))}, 1),
            ("#fe0000", {"season": Condition(("no such",))}, 0),
            ("red", {}, 1),
        ],
    )
    def test_details_are_queried_at_most_once_and_only_if_needed(
        self, harness: SearchHarness, color: str, wanted: Filter, calls: int
    ) -> None:
        harness.segments.put_details([ProductDetails("green", season="summer")])
        catalog = CountingCatalog()
        catalog.__dict__.update(harness.catalog.__dict__)
        harness.search = replace(harness.search, catalog=catalog)
        harness.detector.detections = [make_detection(0), make_detection(0, "skirt")]
        request = SearchRequest(limit=3, segment=True, include=Include.NONE, filter=wanted)
        harness.run_search(encode_stripes(color), request)
        assert catalog.details_calls == calls

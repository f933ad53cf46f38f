"""Searching on fakes: what is joined, left out and asked again."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lookalike.domain.errors import Busy, InvalidImage
from lookalike.domain.filter import Condition, Filter
from lookalike.domain.model import Calibration, Caller, ProductDetails, Segment
from lookalike.usecases.explanation import Explanation
from lookalike.usecases.jobs import Jobs, validate_or_create_job_id
from lookalike.usecases.live_index import LiveIndex
from lookalike.usecases.models import Models
from lookalike.usecases.search import Include, Search, SearchRequest, SearchResult
from lookalike.usecases.segments import Segments
from lookalike.usecases.thread_pool import map_concurrently
from lookalike.usecases.upload import Upload
from tests.fakes.catalog import FakeCatalog
from tests.fakes.models import FakeDetector, FakeEmbedder, make_detection
from tests.fakes.store import FakeStore
from tests.usecases.index_world import World as IndexWorld


def photo(*colours: str) -> bytes:
    """Stripes of 20 pixels, one a colour."""
    picture = Image.new("RGB", (20 * len(colours), 30))
    for number, colour in enumerate(colours):
        picture.paste(colour, (20 * number, 0, 20 * number + 20, 30))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


class World:
    """A shop with a search, in memory. The photos' stripes are its garments."""

    def __init__(self) -> None:
        self.detector = FakeDetector()
        self.catalog, self.store = FakeCatalog(), FakeStore()
        models = Models(self.detector, FakeEmbedder(), max_waiting=8)
        self.upload = Upload(models, self.store, self.catalog, False, timedelta(seconds=60))
        index = LiveIndex(IndexWorld(self.store).versions, self.catalog, FakeEmbedder.name, FakeEmbedder.dim)
        self.search = Search(models, index, self.store, self.catalog)
        self.jobs, self.items = Jobs(self.catalog, 30), Segments(self.catalog, self.store)

    def put(self, name: str, colour: str) -> Segment:
        self.detector.detections = []
        return self.upload_photo(name, photo(colour))

    def upload_photo(self, name: str, data: bytes) -> Segment:
        with self.jobs.run_job("upload", Caller(), validate_or_create_job_id(None)) as work:
            return self.upload.upload_photo(data, name, None, True, work).segments[0]

    def ask(self, data: bytes, question: SearchRequest) -> SearchResult:
        with self.jobs.run_job("search", Caller(), validate_or_create_job_id(None)) as work:
            return self.search.search(data, question, work)


@pytest.fixture
def world() -> World:
    made = World()
    for colour in ("red", "green", "blue"):
        made.put(colour, colour)
    return made


def names(found: SearchResult) -> list[list[str]]:
    return [[match.segment.photo for match in group.matches] for group in found.groups]


def test_the_most_similar_come_first(world: World) -> None:
    found = world.ask(photo("#e02010"), SearchRequest(num=2, include=Include.NONE))
    assert names(found)[0][0] == "red" and len(names(found)[0]) == 2
    assert (found.width, found.height) == (20, 30)


def test_each_garment_has_matches_of_its_own(world: World) -> None:
    world.detector.detections = [make_detection(0), make_detection(20, "skirt")]
    found = world.ask(photo("blue", "red"), SearchRequest(num=1, segment=True, include=Include.NONE))
    assert names(found) == [["blue"], ["red"]]
    assert world.detector.thorough_calls[-1] is False
    assert [group.garment.label for group in found.groups] == ["top", "skirt"]
    assert len(found.best_matches(5)) == 2


def test_without_garments_the_whole_photo_is_searched(world: World) -> None:
    found = world.ask(photo("green"), SearchRequest(segment=True, include=Include.NONE))
    assert len(found.groups) == 1 and found.groups[0].garment.label is None


def test_the_best_of_all_garments_are_each_named_once(world: World) -> None:
    world.detector.detections = [make_detection(0), make_detection(20)]
    found = world.ask(photo("red", "#f00808"), SearchRequest(num=3, segment=True, include=Include.NONE))
    best = [match.segment.photo for match in found.best_matches(3)]
    assert best[0] == "red" and sorted(best) == ["blue", "green", "red"]


class Forgetful(FakeCatalog):
    """A garment is deleted just after the index was asked."""

    doomed: str | None = None

    def segments(self, row_ids: Sequence[int]) -> dict[int, Segment]:
        if self.doomed:
            name, self.doomed = self.doomed, None
            self.delete_segment(name)
        return super().segments(row_ids)


def test_what_is_deleted_meanwhile_makes_room_for_the_next(world: World) -> None:
    forgetful = Forgetful()
    forgetful.__dict__.update(world.catalog.__dict__)
    index = LiveIndex(IndexWorld(world.store).versions, forgetful, FakeEmbedder.name, FakeEmbedder.dim)
    world.search = Search(world.search.models, index, world.store, forgetful)
    forgetful.doomed = "red_segment_0"
    found = world.ask(photo("red"), SearchRequest(num=2, include=Include.NONE))
    assert sorted(names(found)[0]) == ["blue", "green"]


def test_a_picture_that_is_gone_is_left_out_and_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.store.delete("red/segment_0.png")
    found = world.ask(photo("red"), SearchRequest(num=3))
    assert sorted(names(found)[0]) == ["blue", "green"]
    assert "red/segment_0.png has a row, but no picture" in caplog.text


def test_a_broken_photo_is_no_empty_result(world: World) -> None:
    with pytest.raises(InvalidImage):
        world.ask(b"no photo", SearchRequest())


def test_a_similarity_is_told_as_a_chance_where_that_was_measured(world: World) -> None:
    (first, *_) = world.ask(photo("red"), SearchRequest()).groups[0].matches
    assert first.match_probability is None
    world.search = replace(world.search, calibration=Calibration(3, -9))
    matches = world.ask(photo("red"), SearchRequest(num=3, include=Include.NONE)).groups[0].matches
    chances = [one.match_probability or 0.0 for one in matches]
    assert chances[0] > 0.99 and chances == sorted(chances, reverse=True)


@given(st.floats(-1.01, 1.01), st.floats(-1.01, 1.01))
def test_a_chance_grows_with_the_similarity(one: float, other: float) -> None:
    curve = Calibration(3, -9)
    assert 0 <= curve.match_probability(min(one, other)) <= curve.match_probability(max(one, other)) <= 1


def test_a_filter_narrows_what_is_searched_and_not_what_was_found(world: World) -> None:
    """Many nearer ones that do not fulfil it leave no gap, in the index and in what was written since."""
    for number in range(20):
        world.put(f"red-{number}", "red")
    world.put("sold", "blue")
    world.items.put_details([ProductDetails("sold", sale_status="sale"), ProductDetails("blue", sale_status="sale")])
    wanted = {"sale_status": Condition(("sale",))}
    found = world.ask(photo("red"), SearchRequest(num=5, include=Include.NONE, filter=wanted))
    assert sorted(names(found)[0]) == ["blue", "sold"]
    world.items.delete_segment("sold_segment_0")
    found = world.ask(photo("red"), SearchRequest(num=5, include=Include.NONE, filter=wanted))
    assert names(found) == [["blue"]]


def test_a_filter_holds_for_each_garment(world: World) -> None:
    world.items.put_details([ProductDetails("green", brand="Marlow")])
    world.detector.detections = [make_detection(0), make_detection(20, "skirt")]
    wanted = {"brand": Condition(("Marlow",))}
    found = world.ask(photo("blue", "red"), SearchRequest(num=3, segment=True, include=Include.NONE, filter=wanted))
    assert names(found) == [["green"], ["green"]]


def test_a_filter_that_nothing_fulfils_finds_nothing(world: World) -> None:
    found = world.ask(photo("red"), SearchRequest(filter={"label": Condition(("hat",))}))
    assert names(found) == [[]] and found.index.rows == 3


def test_the_photo_that_is_asked_with_may_be_left_out(world: World) -> None:
    for name in ("again", "and-again"):
        world.put(name, "red")
    question = SearchRequest(num=2, include=Include.NONE, exclude_original=True)
    assert names(world.ask(photo("red"), question)) == [["green", "blue"]]
    assert names(world.ask(photo("#fe0000"), question))[0][0] == "red"


def test_a_picture_that_is_stored_more_than_once_is_shown_once(world: World) -> None:
    for number in range(30):
        world.put(f"red-{number}", "red")
    found = world.ask(photo("#f01000"), SearchRequest(num=3, include=Include.NONE, collapse=True))
    assert names(found)[0][0] == "red" and sorted(names(found)[0]) == ["blue", "green", "red"]
    near = world.ask(photo("#f01000"), SearchRequest(num=3, include=Include.NONE, collapse=True, min_similarity=0.9))
    assert names(near) == [["red"]]


def test_very_many_copies_are_not_looked_through_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.usecases.search.MAX_CANDIDATES", 16)
    for number in range(40):
        world.put(f"red-{number}", "red")
    found = world.ask(photo("#f01000"), SearchRequest(num=3, include=Include.NONE, collapse=True))
    assert names(found) == [["red"]]


def test_copies_are_shown_once_wherever_they_stand_in_the_order(world: World) -> None:
    """Vectors of one colour's shades are as near as is said here that copies are, in the index and in the answer."""
    world.search = replace(world.search, calibration=Calibration(3, -9, duplicate_threshold=0.999))
    for number in range(30):
        world.put(f"red-{number}", f"rgb({250 - number // 3}, 0, {number % 3})")
    found = world.ask(photo("#d02000"), SearchRequest(num=3, include=Include.NONE, collapse=True))
    assert names(found)[0][0].startswith("red") and sorted(names(found)[0])[:2] == ["blue", "green"]
    world.search = replace(world.search, calibration=None)
    apart = world.ask(photo("#d02000"), SearchRequest(num=3, include=Include.NONE, collapse=True))
    assert all(name.startswith("red") for name in names(apart)[0])


def test_garments_as_near_to_the_query_are_no_copies_of_each_other(world: World) -> None:
    found = world.ask(photo("white"), SearchRequest(num=3, include=Include.NONE, collapse=True))
    red, blue = (next(one for one in found.groups[0].matches if one.segment.photo == name) for name in ("red", "blue"))
    assert red.similarity == pytest.approx(blue.similarity, abs=1e-9) and len(found.groups[0].matches) == 3


def test_where_the_groups_come_together_copies_are_shown_once_too(world: World) -> None:
    world.search = replace(world.search, calibration=Calibration(3, -9, duplicate_threshold=0.999))
    world.put("again", "#fa0500")
    world.detector.detections = [make_detection(0), make_detection(20)]
    question = SearchRequest(num=5, segment=True, include=Include.NONE, collapse=True)
    found = world.ask(photo("red", "#fa0700"), question)
    assert [some[0] for some in names(found)] == ["red", "again"]
    assert sorted(match.segment.photo for match in found.best_matches(5)) == ["blue", "green", "red"]
    assert len(world.ask(photo("red", "#fa0700"), replace(question, collapse=False)).best_matches(5)) == 4


def test_a_garment_of_the_same_kind_and_colour_says_so(world: World) -> None:
    world.detector.detections = [make_detection(0)]
    world.upload_photo("top", photo("#fe0000"))
    found = world.ask(photo("red"), SearchRequest(segment=True, include=Include.NONE))
    whys = {match.segment.photo: match.explanation for match in found.groups[0].matches}
    assert whys["top"].same_label is True
    assert whys["top"].colour_distance == pytest.approx(0.3, abs=0.2)
    assert whys["red"] == Explanation(), "it was stored as a whole photo"
    whole = world.ask(photo("red"), SearchRequest(include=Include.NONE))
    assert all(match.explanation == Explanation() for match in whole.groups[0].matches)


def test_details_are_shared_where_the_very_photo_is_stored(world: World) -> None:
    shop = {"red": ("Marlow", "summer"), "green": ("Marlow", "winter")}
    world.items.put_details(
        [ProductDetails(name, brand=brand, season=season) for name, (brand, season) in shop.items()]
    )
    question = SearchRequest(include=Include.NONE, exclude_original=True)
    shared = {
        one.segment.photo: one.explanation.shared_details for one in world.ask(photo("red"), question).best_matches(5)
    }
    assert shared == {"green": ["brand"], "blue": []}
    other = world.ask(photo("#fe0000"), question).best_matches(5)
    assert [one.explanation.shared_details for one in other] == [None] * 3
    demanded = replace(question, filter={"season": Condition(("winter",))})
    assert [one.explanation.shared_details for one in world.ask(photo("#fe0000"), demanded).best_matches(5)] == [
        ["season"]
    ]


class Counting(FakeCatalog):
    """Counts who asks for details."""

    asked = 0

    def details(self, image_ids: Sequence[str]) -> dict[str, ProductDetails]:
        self.asked += 1
        return super().details(image_ids)


@pytest.mark.parametrize(
    ("colour", "wanted", "times"),
    [
        ("#fe0000", {}, 0),
        ("#fe0000", {"score": Condition((), None, 9), "season": Condition(("summer", "winter"))}, 0),
        ("#fe0000", {"season": Condition(("summer",))}, 1),
        ("#fe0000", {"season": Condition(("no such",))}, 0),
        ("red", {}, 1),
    ],
)
def test_details_are_asked_for_once_and_only_where_they_matter(
    world: World, colour: str, wanted: Filter, times: int
) -> None:
    world.items.put_details([ProductDetails("green", season="summer")])
    counting = Counting()
    counting.__dict__.update(world.catalog.__dict__)
    world.search = replace(world.search, catalog=counting)
    world.detector.detections = [make_detection(0), make_detection(0, "skirt")]
    world.ask(photo(colour), SearchRequest(num=3, segment=True, include=Include.NONE, filter=wanted))
    assert counting.asked == times


def test_a_full_queue_is_told(world: World) -> None:
    full = Models(world.detector, FakeEmbedder(), max_waiting=0)
    world.search = Search(full, world.search.index, world.store, world.catalog)
    with pytest.raises(Busy):
        world.ask(photo("red"), SearchRequest())


def test_together_keeps_the_order_and_raises_when_all_have_ended() -> None:
    ended: list[int] = []

    def double(number: int) -> int:
        if number == 2:
            raise ValueError("two")
        ended.append(number)
        return number * 2

    assert map_concurrently(double, [3, 5, 1]) == [6, 10, 2]
    ended.clear()
    with pytest.raises(ValueError, match="two"):
        map_concurrently(double, [1, 2, 3, 4])
    assert sorted(ended) == [1, 3, 4]

"""The live index finds exactly the rows that live when a search begins, whatever versions there are."""

import json
import logging
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, LookalikeError, NotFound, Unavailable
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Changes, Manifest
from lookalike.domain.ports import VectorIndex
from lookalike.domain.signed_json import sign_json
from lookalike.domain.vector_source import vector_source_from_arrays
from lookalike.usecases.index_versions import IndexVersions
from lookalike.usecases.live_index import IndexLayer, IndexState, LiveIndex, append_layer
from tests.usecases.index_world import DIM, EMBEDDER, FOLDER, KEY, POINTER, Counting, World, rng, unit


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.message for one in caplog.records if one.levelno == logging.ERROR]


def test_without_a_version_all_rows_are_in_the_tail() -> None:
    world = World()
    live = world.live()
    assert live.ids(unit(1)[0]) == []
    world.add(unit(30))
    assert live.is_exact()
    info = live.info()
    assert (info.version, info.built_at, info.rows, info.tail_rows) == (None, None, 30, 30)


def test_an_upload_is_found_by_the_next_search() -> None:
    world = World()
    world.add(unit(20))
    published = world.reindex.build()
    live = world.live(look_every=1000)
    assert live.info().tail_rows == 0
    vectors = unit(3)
    row_ids = world.add(vectors)
    assert [live.ids(vector)[0] for vector in vectors] == row_ids
    info = live.info()
    assert (info.version, info.built_at, info.rows, info.tail_rows) == (published.version, published.built_at, 23, 3)
    assert live.is_exact()


def test_what_is_deleted_is_in_no_later_answer_of_base_or_tail() -> None:
    world = World()
    base = world.add(unit(20))
    world.reindex.build()
    live = world.live()
    tail = world.add(unit(20))
    assert live.is_exact(50)
    for row_id in (base[3], tail[5], base[0], tail[0]):
        world.delete(row_id)
        assert row_id not in live.ids(unit(1)[0], 50) and live.is_exact(50)
    info = live.info()
    assert (info.rows, info.tail_rows) == (36, 18)


def test_deleted_before_the_first_search_but_after_the_version() -> None:
    world = World()
    rows = world.add(unit(5))
    world.reindex.build()
    world.delete(rows[2])
    live = world.live()
    assert rows[2] not in live.ids(unit(1)[0], 9) and live.is_exact(9)


def test_all_rows_of_base_and_tail_can_go() -> None:
    world = World()
    base = world.add(unit(4))
    world.reindex.build()
    live = world.live()
    for row_id in base + world.add(unit(4)):
        world.delete(row_id)
    assert live.ids(unit(1)[0]) == [] and live.info().rows == 0


def test_a_row_written_again_is_the_new_one_alone() -> None:
    old, new = unit(3), unit(3)
    nothing = np.empty(0, np.int64)
    base = IndexState(1, base=(IndexLayer(ExactIndex(np.array([1, 2, 3]), old)),))
    once = base.apply(Changes(2, np.array([2, 4]), new[:2], nothing))
    twice = once.apply(Changes(3, np.array([2]), new[2:], np.array([2])))
    for state, vector in ((once, new[0]), (twice, new[2])):
        (hits,) = state.search(vector[None], 9)
        assert sorted(hit.row_id for hit in hits) == [1, 2, 3, 4]
        assert hits[0].row_id == 2 and hits[0].similarity == pytest.approx(1, abs=1e-6)
    assert twice.info.rows == 4 and twice.info.tail_rows == 2
    gone = twice.apply(Changes(4, nothing, np.empty((0, 0), np.float32), np.array([2, 1])))
    assert sorted(hit.row_id for hit in gone.search(old[:1], 9)[0]) == [3, 4]


def test_other_embedders_rows_are_not_found() -> None:
    world = World()
    mine, _ = world.add(unit(4)), world.add(unit(4), "other")
    live = world.live()
    assert sorted(live.ids(unit(1)[0], 9)) == mine
    world.reindex.build()
    world.add(unit(4), "other")
    assert sorted(live.ids(unit(1)[0], 9)) == mine


def test_a_newer_version_takes_over() -> None:
    world = World()
    world.add(unit(10))
    first, live = world.reindex.build(), world.live()
    assert live.info().version == first.version
    rows = world.add(unit(5))
    second = world.reindex.build()
    info = live.info()
    assert (info.version, info.rows, info.tail_rows) == (second.version, 15, 0)
    world.delete(rows[0])
    assert live.is_exact(20)


def test_an_empty_version_is_searched_and_left_behind() -> None:
    world = World()
    empty, live = world.reindex.build(), world.live()
    assert live.ids(unit(1)[0]) == [] and live.info().version == empty.version
    world.add(unit(3))
    assert live.is_exact() and live.info().tail_rows == 3
    world.reindex.build()
    assert live.is_exact() and live.info().tail_rows == 0


def test_the_pointer_is_looked_at_now_and_then_and_a_version_read_once() -> None:
    store, moment = Counting(), [100.0]
    world = World(store)
    world.add(unit(3))
    world.reindex.build()
    live = LiveIndex(world.versions, world.catalog, EMBEDDER, DIM, 1.0, lambda: moment[0])
    live.warm()
    store.asked.clear()
    for moment[0] in (100.5, 100.9, 101.1, 101.5, 102.2):
        live.search(unit(1), 3, CancelToken())
    assert store.asked == [POINTER, POINTER]


@pytest.mark.parametrize("name", ["manifest.json", INDEX_PART])
def test_a_bad_version_is_logged_once_and_the_old_one_goes_on(name: str, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.add(unit(10))
    first, live = world.reindex.build(), world.live()
    live.index.warm()
    world.add(unit(2))
    bad = world.reindex.build()
    path = f"{FOLDER}/{bad.version}/{name}"
    world.tamper(path, world.store.get(path)[:-1] + b"!")
    assert live.is_exact() and live.info().version == first.version
    assert len(errors(caplog)) == 1 and bad.version in errors(caplog)[0]
    third = world.reindex.build()
    assert live.is_exact() and live.info().version == third.version


def test_a_bad_pointer_is_logged_once_and_the_old_version_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.add(unit(10))
    first, live = world.reindex.build(), world.live()
    live.index.warm()
    good = world.store.get(POINTER)
    for place in range(len(good)):
        world.tamper(POINTER, good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert live.info().version == first.version
    assert errors(caplog) and live.is_exact()
    for data, complaints in ((good, 0), (b"{}", 1), (b"[]", 0), (good, 0), (b"{}", 1)):
        caplog.clear()
        world.tamper(POINTER, data)
        assert live.is_exact() and live.info().version == first.version
        assert len(errors(caplog)) == complaints


@pytest.mark.parametrize("why", ["damaged", "another key", "another dimension", "missing"])
def test_if_the_first_version_is_bad_all_rows_are_in_the_tail(why: str, caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.add(unit(10))
    world.add(unit(3), "other")
    version = world.reindex.build().version
    match why:
        case "damaged":
            world.tamper(f"{FOLDER}/{version}/{INDEX_PART}", b"damaged")
        case "another dimension":
            manifest = asdict(world.versions.read_manifest(version))
            world.tamper(f"{FOLDER}/{version}/manifest.json", sign_json({**manifest, "dimension": 5}, KEY))
        case "missing":
            world.store.delete(f"{FOLDER}/{version}/manifest.json")
    live = world.live(versions=world.versions_with(b"new" if why == "another key" else KEY))
    info = live.info()
    assert (info.version, info.rows, info.tail_rows) == (None, 10, 10)
    assert live.is_exact() and len(errors(caplog)) == 1


@pytest.mark.parametrize("name", ["manifest.json", INDEX_PART, None])
def test_who_starts_while_the_version_is_bad_takes_the_one_before(
    name: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.add(unit(10))
    old = world.reindex.build()
    world.add(unit(3))
    bad = world.reindex.build()
    path = f"{FOLDER}/{bad.version}/{name}"
    world.tamper(path, b"damaged") if name else world.store.delete(f"{FOLDER}/{bad.version}/{ID_MAP_PART}")
    live = world.live()
    info = live.info()
    assert (info.version, info.rows, info.tail_rows) == (old.version, 13, 3) and live.is_exact()
    assert bad.version in errors(caplog)[0]
    newest = world.reindex.build()
    assert live.info().version == newest.version and live.is_exact()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", "unsigned", "another key"])
def test_who_starts_while_the_pointer_is_bad_takes_the_newest_version(
    data: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.add(unit(10))
    world.reindex.build()
    world.add(unit(3))
    newest = world.reindex.build()
    content = {"version": newest.version, "commit": newest.commit, "pinned": False}
    sealed = {"unsigned": json.dumps(content).encode(), "another key": sign_json(content, b"no")}
    world.tamper(POINTER, sealed[data] if isinstance(data, str) else data)
    live = world.live()
    world.add(unit(2))
    for _ in range(2):
        info = live.info()
        assert (info.version, info.rows, info.tail_rows) == (newest.version, 15, 2) and live.is_exact()
    assert len(errors(caplog)) == 1
    third = world.reindex.build()
    assert live.info().version == third.version and live.is_exact()


@pytest.mark.parametrize("name", ["manifest.json", INDEX_PART])
def test_a_bad_version_is_read_once_though_an_older_one_stands_in(name: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Counting()
    world = World(store)
    world.add(unit(10))
    world.reindex.build()
    world.add(unit(3))
    path = f"{FOLDER}/{world.reindex.build().version}/{name}"
    world.tamper(path, b"damaged")
    live = world.live()
    live.info()
    store.asked.clear()
    for _ in range(3):
        assert live.is_exact()
    assert set(store.asked) == {POINTER} and len(errors(caplog)) == 1


def test_a_version_of_another_catalog_is_bad(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.versions.publish(vector_source_from_arrays(np.arange(1, 10), unit(9)), 99, world.clock())
    world.add(unit(4))
    live = world.live()
    assert live.is_exact() and live.info().version is None
    assert "ahead of the catalog" in errors(caplog)[0]


class Pruning(IndexVersions):
    """The version that is about to be read is deleted just before."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__(world.store, world.versions._format, KEY, EMBEDDER, DIM, world.clock)
        self.world, self.times = world, times

    def read(self, version: str) -> tuple[Manifest, VectorIndex]:
        if self.times:
            self.times -= 1
            for _ in range(3):
                self.world.reindex.build()
            with pytest.raises(NotFound):
                super().load(version)
        return super().load(version)


def test_a_version_deleted_under_the_reader_is_followed_to_the_next() -> None:
    world = World()
    world.add(unit(10))
    world.reindex.build()
    live = world.live(versions=Pruning(world, 2))
    pointer = live.info().version
    current = world.versions.current()
    assert current and pointer == current.version and live.is_exact()


def test_the_store_away_keeps_the_version_and_the_first_look_waits(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.add(unit(10))
    world.reindex.build()
    early, live = world.live(), world.live()
    live.index.warm()
    world.store.is_unavailable = True
    world.add(unit(2))
    assert live.is_exact() and live.info().rows == 12
    with pytest.raises(Unavailable):
        early.index.warm()
    world.store.is_unavailable = False
    assert early.is_exact() and early.info().version == live.info().version
    assert not errors(caplog)


def test_the_catalog_away_is_said_and_nothing_is_lost() -> None:
    world = World()
    world.add(unit(10))
    live = world.live()
    live.index.warm()
    world.reindex.build()
    world.add(unit(3))
    world.catalog.is_unavailable = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            live.ids(unit(1)[0])
    world.catalog.is_unavailable = False
    assert live.is_exact(20) and live.info().version


def test_vectors_of_another_length_are_said() -> None:
    world = World()
    world.add(unit(2, 5))
    with pytest.raises(LookalikeError, match="length 5, not 8"):
        world.live().ids(unit(1)[0])


def test_a_cancelled_search_stops() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        World().live().index.search(unit(1), 3, token)


def test_the_tail_is_few_layers_and_rows_are_copied_seldom() -> None:
    state, copied = IndexState(), 0
    nothing = np.empty(0, np.int64)
    for number in range(1, 1025):
        before = {id(layer) for layer in state.tail}
        state = state.apply(Changes(number, np.array([number]), unit(1), nothing))
        copied += sum(layer.row_count for layer in state.tail if id(layer) not in before)
        assert len(state.tail) <= 11
    assert state.info.rows == 1024 and copied <= 1024 * 12
    (layer,) = append_layer(state.tail, IndexLayer(ExactIndex(np.arange(2000, 4000), unit(2000))))
    assert layer.row_count == 3024


PALETTE = unit(12)
STEPS = st.one_of(
    st.tuples(st.just("add"), st.lists(st.integers(0, 11), min_size=1, max_size=5)),
    st.tuples(st.just("delete"), st.integers(0, 1000)),
    st.tuples(st.just("build"), st.none()),
    st.tuples(st.just("search"), st.integers(1, 12)),
    st.tuples(st.just("restart"), st.none()),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(STEPS, max_size=40), st.sampled_from([0.0, 1000.0]))
def test_whatever_happens_searches_equal_brute_force(steps: list[tuple[str, object]], look_every: float) -> None:
    world, alive = World(), list[int]()
    live = world.live(look_every)
    for step in [*steps, ("search", 12)]:
        match step:
            case ("add", list(colours)):
                alive += world.add(PALETTE[colours])
            case ("delete", int(which)) if alive:
                world.delete(alive.pop(which % len(alive)))
            case ("build", _):
                world.reindex.build()
            case ("restart", _):
                live = world.live(look_every)
            case ("search", int(k)):
                query = PALETTE[k - 1]
                assert live.ids(query, k) == world.nearest(query, k)
    assert live.info().rows == len(alive)


def test_a_large_index_is_still_exact() -> None:
    world = World()
    rows = world.add(unit(3000))
    world.reindex.build()
    live = world.live()
    live.index.warm()
    for row_id in rng.choice(rows, 50, replace=False).tolist():
        world.delete(row_id)
    world.add(unit(100))
    assert live.is_exact(25)

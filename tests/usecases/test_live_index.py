"""Live index: searches equal brute force over the rows that exist when they begin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, LookalikeError, Unavailable
from lookalike.domain.exact_index import ExactIndex
from lookalike.domain.model import Changes
from lookalike.usecases.live_index import IndexLayer, IndexState, LiveIndex, append_layer
from tests.usecases.index_harness import (
    DIM,
    EMBEDDER,
    POINTER_PATH,
    IndexHarness,
    RecordingStore,
    rng,
    unit_vectors,
)


def test_live_index_without_version_has_all_rows_in_tail() -> None:
    harness = IndexHarness()
    live = harness.open_live_index()
    assert live.search_ids(unit_vectors(1)[0]) == []
    harness.add_rows(unit_vectors(30))
    assert live.is_exact()
    info = live.info()
    assert (info.version, info.built_at, info.rows, info.tail_rows) == (None, None, 30, 30)


def test_search_finds_rows_uploaded_before_it() -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(20))
    published = harness.reindex.build()
    live = harness.open_live_index(poll_interval=1000)
    assert live.info().tail_rows == 0
    vectors = unit_vectors(3)
    row_ids = harness.add_rows(vectors)
    assert [live.search_ids(vector)[0] for vector in vectors] == row_ids
    info = live.info()
    assert (info.version, info.built_at, info.rows, info.tail_rows) == (published.version, published.built_at, 23, 3)
    assert live.is_exact()


def test_search_excludes_deleted_rows_of_base_and_tail() -> None:
    harness = IndexHarness()
    base = harness.add_rows(unit_vectors(20))
    harness.reindex.build()
    live = harness.open_live_index()
    tail = harness.add_rows(unit_vectors(20))
    assert live.is_exact(50)
    for row_id in (base[3], tail[5], base[0], tail[0]):
        harness.delete_row(row_id)
        assert row_id not in live.search_ids(unit_vectors(1)[0], 50) and live.is_exact(50)
    info = live.info()
    assert (info.rows, info.tail_rows) == (36, 18)


def test_search_excludes_rows_deleted_between_build_and_first_search() -> None:
    harness = IndexHarness()
    rows = harness.add_rows(unit_vectors(5))
    harness.reindex.build()
    harness.delete_row(rows[2])
    live = harness.open_live_index()
    assert rows[2] not in live.search_ids(unit_vectors(1)[0], 9) and live.is_exact(9)


def test_search_finds_nothing_after_all_rows_are_deleted() -> None:
    harness = IndexHarness()
    base = harness.add_rows(unit_vectors(4))
    harness.reindex.build()
    live = harness.open_live_index()
    for row_id in base + harness.add_rows(unit_vectors(4)):
        harness.delete_row(row_id)
    assert live.search_ids(unit_vectors(1)[0]) == [] and live.info().rows == 0


def test_rewritten_row_replaces_its_earlier_vector() -> None:
    old, new = unit_vectors(3), unit_vectors(3)
    nothing = np.empty(0, np.int64)
    base = IndexState(1, base=(IndexLayer(ExactIndex(np.array([1, 2, 3]), old)),))
    updated = base.apply(Changes(2, np.array([2, 4]), new[:2], nothing))
    updated_twice = updated.apply(Changes(3, np.array([2]), new[2:], np.array([2])))
    for state, vector in ((updated, new[0]), (updated_twice, new[2])):
        (hits,) = state.search(vector[None], 9)
        assert sorted(hit.row_id for hit in hits) == [1, 2, 3, 4]
        assert hits[0].row_id == 2 and hits[0].similarity == pytest.approx(1, abs=1e-6)
    assert updated_twice.info.rows == 4 and updated_twice.info.tail_rows == 2
    remaining = updated_twice.apply(Changes(4, nothing, np.empty((0, 0), np.float32), np.array([2, 1])))
    assert sorted(hit.row_id for hit in remaining.search(old[:1], 9)[0]) == [3, 4]


def test_search_excludes_rows_of_other_embedders() -> None:
    harness = IndexHarness()
    row_ids, _ = harness.add_rows(unit_vectors(4)), harness.add_rows(unit_vectors(4), "other")
    live = harness.open_live_index()
    assert sorted(live.search_ids(unit_vectors(1)[0], 9)) == row_ids
    harness.reindex.build()
    harness.add_rows(unit_vectors(4), "other")
    assert sorted(live.search_ids(unit_vectors(1)[0], 9)) == row_ids


def test_live_index_switches_to_newer_version() -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    first, live = harness.reindex.build(), harness.open_live_index()
    assert live.info().version == first.version
    rows = harness.add_rows(unit_vectors(5))
    second = harness.reindex.build()
    info = live.info()
    assert (info.version, info.rows, info.tail_rows) == (second.version, 15, 0)
    harness.delete_row(rows[0])
    assert live.is_exact(20)


def test_live_index_searches_empty_version_and_switches_from_it() -> None:
    harness = IndexHarness()
    empty, live = harness.reindex.build(), harness.open_live_index()
    assert live.search_ids(unit_vectors(1)[0]) == [] and live.info().version == empty.version
    harness.add_rows(unit_vectors(3))
    assert live.is_exact() and live.info().tail_rows == 3
    harness.reindex.build()
    assert live.is_exact() and live.info().tail_rows == 0


def test_live_index_reads_pointer_once_per_poll_interval() -> None:
    store, now = RecordingStore(), [100.0]
    harness = IndexHarness(store)
    harness.add_rows(unit_vectors(3))
    harness.reindex.build()
    live = LiveIndex(harness.versions, harness.catalog, EMBEDDER, DIM, 1.0, lambda: now[0])
    live.warm_up()
    store.read_paths.clear()
    for now[0] in (100.5, 100.9, 101.1, 101.5, 102.2):
        live.search(unit_vectors(1), 3, CancelToken())
    assert store.read_paths == [POINTER_PATH, POINTER_PATH]


def test_unavailable_catalog_fails_searches_and_loses_no_rows() -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    live = harness.open_live_index()
    live.index.warm_up()
    harness.reindex.build()
    harness.add_rows(unit_vectors(3))
    harness.catalog.is_unavailable = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            live.search_ids(unit_vectors(1)[0])
    harness.catalog.is_unavailable = False
    assert live.is_exact(20) and live.info().version


def test_live_index_rejects_catalog_vectors_of_other_dimension() -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(2, 5))
    with pytest.raises(LookalikeError, match="5 dimensions; expected 8"):
        harness.open_live_index().search_ids(unit_vectors(1)[0])


def test_cancelled_search_raises() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        IndexHarness().open_live_index().index.search(unit_vectors(1), 3, token)


def test_tail_has_few_layers_and_copies_rows_rarely() -> None:
    state, copied = IndexState(), 0
    nothing = np.empty(0, np.int64)
    for number in range(1, 1025):
        before = {id(layer) for layer in state.tail}
        state = state.apply(Changes(number, np.array([number]), unit_vectors(1), nothing))
        copied += sum(layer.row_count for layer in state.tail if id(layer) not in before)
        assert len(state.tail) <= 11
    assert state.info.rows == 1024 and copied <= 1024 * 12
    (layer,) = append_layer(state.tail, IndexLayer(ExactIndex(np.arange(2000, 4000), unit_vectors(2000))))
    assert layer.row_count == 3024


SAMPLE_VECTORS = unit_vectors(12)
STEPS = st.one_of(
    st.tuples(st.just("add"), st.lists(st.integers(0, 11), min_size=1, max_size=5)),
    st.tuples(st.just("delete"), st.integers(0, 1000)),
    st.tuples(st.just("build"), st.none()),
    st.tuples(st.just("search"), st.integers(1, 12)),
    st.tuples(st.just("restart"), st.none()),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(STEPS, max_size=40), st.sampled_from([0.0, 1000.0]))
def test_searches_equal_brute_force_after_any_steps(steps: list[tuple[str, object]], poll_interval: float) -> None:
    harness, existing = IndexHarness(), list[int]()
    live = harness.open_live_index(poll_interval)
    for step in [*steps, ("search", 12)]:
        match step:
            case ("add", list(numbers)):
                existing += harness.add_rows(SAMPLE_VECTORS[numbers])
            case ("delete", int(number)) if existing:
                harness.delete_row(existing.pop(number % len(existing)))
            case ("build", _):
                harness.reindex.build()
            case ("restart", _):
                live = harness.open_live_index(poll_interval)
            case ("search", int(k)):
                query = SAMPLE_VECTORS[k - 1]
                assert live.search_ids(query, k) == harness.exact_nearest(query, k)
    assert live.info().rows == len(existing)


def test_live_index_is_exact_with_3000_rows() -> None:
    harness = IndexHarness()
    rows = harness.add_rows(unit_vectors(3000))
    harness.reindex.build()
    live = harness.open_live_index()
    live.index.warm_up()
    for row_id in rng.choice(rows, 50, replace=False).tolist():
        harness.delete_row(row_id)
    harness.add_rows(unit_vectors(100))
    assert live.is_exact(25)

"""Whatever an index outside has, has not yet, or has lost: searches find what lives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.domain.errors import Unavailable
from lookalike.domain.signed_json import sign_json, verify_json
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.live_index import LiveIndex
from tests.fakes.external_index import FakeExternalIndex
from tests.usecases.index_world import DIM, EMBEDDER, KEY, Live, World, unit


class Mirrored:
    def __init__(self) -> None:
        self.world, self.outside = World(), FakeExternalIndex()
        self.mirror = self.mirror_with(KEY)
        self.live = self.another()

    def mirror_with(self, key: bytes) -> ExternalIndex:
        world = self.world
        return ExternalIndex(self.outside, world.catalog, world.store, key, EMBEDDER, DIM, world.clock)

    def another(self) -> Live:
        return Live(self.world, LiveIndex(self.mirror, self.world.catalog, EMBEDDER, DIM, 0))


def test_without_a_mark_all_rows_are_in_the_tail_and_after_it_none() -> None:
    it = Mirrored()
    it.world.add(unit(20))
    assert it.live.is_exact() and it.live.info().tail_rows == 20
    manifest = it.mirror.catch_up()
    assert (manifest.rows, manifest.commit, manifest.format) == (20, 1, "milvus")
    assert it.live.is_exact() and it.live.info().tail_rows == 0
    assert it.live.info().version == manifest.version == "commit-1-first"


def test_what_was_not_announced_is_found_and_what_was_deleted_is_gone() -> None:
    it = Mirrored()
    rows = it.world.add(unit(20))
    it.mirror.catch_up()
    assert it.live.is_exact()
    it.outside.away = True
    new = it.world.add(unit(5))
    it.world.delete(rows[3])
    it.mirror.sync_recent_changes()
    for call in (it.mirror.catch_up, it.live.is_exact):
        with pytest.raises(Unavailable):
            call()
    it.outside.away = False
    assert it.live.is_exact(50) and (it.live.info().rows, it.live.info().tail_rows) == (24, 5)
    it.mirror.sync_recent_changes()
    assert sorted(it.outside.held) == [*rows[:3], *rows[4:], *new]
    assert it.live.is_exact(50) and it.live.info().tail_rows == 0


def another_collection(it: Mirrored, name: str = "second") -> None:
    it.outside.name = name
    it.outside.held.clear()


def test_a_collection_that_was_made_anew_is_not_believed_to_be_full(caplog: pytest.LogCaptureFixture) -> None:
    it = Mirrored()
    rows = it.world.add(unit(20))
    it.mirror.catch_up()
    assert it.live.is_exact()
    another_collection(it)
    assert it.live.is_exact() and it.another().is_exact() and it.live.info().tail_rows == 20
    assert "speaks of another collection" in caplog.text
    it.mirror.build_if_due()
    assert sorted(it.outside.held) == rows
    assert it.live.is_exact() and (it.live.info().rows, it.live.info().tail_rows) == (20, 0)


def test_an_upload_leaves_very_many_changes_to_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.usecases.external_index.ANNOUNCED", 3)
    it = Mirrored()
    it.world.add(unit(1))
    it.mirror.catch_up()
    it.world.add(unit(4))
    it.mirror.sync_recent_changes()
    assert len(it.outside.held) == 1 and it.live.is_exact()
    it.mirror.build_if_due()
    assert len(it.outside.held) == 5
    another_collection(it)
    it.world.add(unit(1))
    it.mirror.sync_recent_changes()
    assert not it.outside.held and it.live.is_exact(), "nor does it fill an empty collection"


def test_no_fault_outside_fails_an_upload(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    it = Mirrored()
    it.world.add(unit(1))
    it.mirror.catch_up()
    it.world.add(unit(1))

    def broken(*_: object) -> None:
        raise ValueError("a mistake in a library")

    monkeypatch.setattr(it.outside, "upsert", broken)
    it.mirror.sync_recent_changes()
    assert "a mistake in a library" in caplog.text and it.live.is_exact()


@pytest.mark.parametrize("change", [{"kind": "manifest"}, {"embedder": "other-1"}, {"commit": None}])
def test_what_we_signed_for_something_else_is_no_mark(
    change: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    it = Mirrored()
    it.world.add(unit(3))
    it.mirror.catch_up()
    mark = verify_json(it.world.store.get(it.mirror.watermark_path), KEY, "it") | change
    it.world.tamper(
        it.mirror.watermark_path, sign_json({name: value for name, value in mark.items() if value is not None}, KEY)
    )
    assert it.another().is_exact() and it.another().info().tail_rows == 3
    it.mirror.catch_up()
    assert "something else" in caplog.text and it.another().info().tail_rows == 0


def test_nothing_is_written_while_nothing_happens() -> None:
    it = Mirrored()
    it.world.add(unit(3))
    it.mirror.catch_up()
    before = it.world.store.stat(it.mirror.watermark_path)
    it.outside.held.clear()
    it.mirror.catch_up()
    assert it.world.store.stat(it.mirror.watermark_path) == before and not it.outside.held


def test_a_reconcile_repairs_what_was_lost_and_what_is_too_much(caplog: pytest.LogCaptureFixture) -> None:
    it = Mirrored()
    rows = it.world.add(unit(1200))
    it.mirror.build_if_due()
    for row_id in rows[100:800]:
        del it.outside.held[row_id]
    it.outside.held[9999] = unit(1)[0]
    manifest = it.mirror.build_if_due()
    assert "lacked 700 rows and had 1 too many" in caplog.text
    assert sorted(it.outside.held) == rows and manifest.rows == 1200
    assert it.live.is_exact()


def test_a_build_writes_vectors_anew_that_were_others() -> None:
    it = Mirrored()
    rows = it.world.add(unit(4))
    it.mirror.build()
    good = it.outside.held[rows[2]]
    it.outside.held[rows[2]] = unit(1)[0]
    assert it.mirror.build().rows == 4 and np.array_equal(it.outside.held[rows[2]], good)


def test_a_row_that_another_wrote_meanwhile_is_found_once() -> None:
    it = Mirrored()
    it.world.add(unit(3))
    it.mirror.catch_up()
    assert it.live.is_exact()
    (late,) = it.world.add(unit(1))
    it.live.info()
    it.outside.upsert(np.array([late]), it.world.catalog.changes(EMBEDDER, 0).vectors[-1:])
    assert it.live.is_exact(9)


def test_a_row_that_came_back_from_the_dead_is_not_found() -> None:
    it = Mirrored()
    rows = it.world.add(unit(4))
    it.mirror.catch_up()
    it.world.delete(rows[0])
    it.mirror.catch_up()
    it.outside.held[rows[0]] = unit(1)[0]
    assert it.another().is_exact(9)


@pytest.mark.parametrize("bad", [b"{}", b"", b"null"])
def test_a_mark_that_is_not_ours_is_not_believed(bad: bytes, caplog: pytest.LogCaptureFixture) -> None:
    it = Mirrored()
    it.world.add(unit(3))
    it.mirror.catch_up()
    it.world.tamper(it.mirror.watermark_path, bad)
    assert it.another().is_exact() and it.another().info().tail_rows == 3
    it.mirror.catch_up()
    assert "written anew" in caplog.text and it.another().info().tail_rows == 0
    stranger = it.mirror_with(b"another key")
    stranger.catch_up()
    assert it.another().is_exact()


@given(
    st.lists(st.sampled_from(["add", "delete", "announce", "reconcile", "away", "back", "anew", "search"]), max_size=25)
)
@settings(max_examples=60, deadline=None)
def test_searches_find_what_lives_whatever_happens(steps: list[str]) -> None:
    it, living = Mirrored(), list[int]()
    for step in steps:
        match step:
            case "add":
                living += it.world.add(unit(2))
            case "delete" if living:
                it.world.delete(living.pop(len(living) // 2))
            case "announce":
                it.mirror.sync_recent_changes()
            case "reconcile" if not it.outside.away:
                it.mirror.build_if_due()
                assert sorted(it.outside.held) == sorted(living)
            case "away" | "back":
                it.outside.away = step == "away"
            case "anew":
                another_collection(it, f"{it.outside.name}+")
            case "search" if not it.outside.away:
                assert it.live.is_exact(9)
    it.outside.away = False
    assert it.live.is_exact(9) and it.another().is_exact(9)

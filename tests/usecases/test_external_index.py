"""External index: searches find all existing rows, whichever rows the external index has."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.domain.errors import Unavailable
from lookalike.domain.signed_json import sign_json, verify_json
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.live_index import LiveIndex
from tests.fakes.external_index import FakeExternalIndex
from tests.usecases.index_harness import DIM, EMBEDDER, KEY, IndexHarness, LiveIndexProbe, unit_vectors


class ExternalHarness:
    """External index over a fake collection, and a live index that searches harness."""

    def __init__(self) -> None:
        self.index_harness, self.fake = IndexHarness(), FakeExternalIndex()
        self.external_index = self.open_external_index(KEY)
        self.live = self.open_live_index()

    def open_external_index(self, key: bytes) -> ExternalIndex:
        """Open the same collection and watermark with a key."""
        harness = self.index_harness
        return ExternalIndex(self.fake, harness.catalog, harness.store, key, EMBEDDER, DIM, harness.clock)

    def open_live_index(self) -> LiveIndexProbe:
        """Open a live index, as a new process would."""
        return LiveIndexProbe(
            self.index_harness, LiveIndex(self.external_index, self.index_harness.catalog, EMBEDDER, DIM, 0)
        )


def test_all_rows_are_in_tail_until_watermark_is_written() -> None:
    harness = ExternalHarness()
    harness.index_harness.add_rows(unit_vectors(20))
    assert harness.live.is_exact() and harness.live.info().tail_rows == 20
    manifest = harness.external_index.catch_up()
    assert (manifest.rows, manifest.commit, manifest.format) == (20, 1, "milvus")
    assert harness.live.is_exact() and harness.live.info().tail_rows == 0
    assert harness.live.info().version == manifest.version == "commit-1-first"


def test_changes_not_written_to_external_index_are_seen_by_searches() -> None:
    harness = ExternalHarness()
    rows = harness.index_harness.add_rows(unit_vectors(20))
    harness.external_index.catch_up()
    assert harness.live.is_exact()
    harness.fake.is_unavailable = True
    new = harness.index_harness.add_rows(unit_vectors(5))
    harness.index_harness.delete_row(rows[3])
    harness.external_index.sync_recent_changes()
    for call in (harness.external_index.catch_up, harness.live.is_exact):
        with pytest.raises(Unavailable):
            call()
    harness.fake.is_unavailable = False
    assert harness.live.is_exact(50) and (harness.live.info().rows, harness.live.info().tail_rows) == (24, 5)
    harness.external_index.sync_recent_changes()
    assert sorted(harness.fake.vectors) == [*rows[:3], *rows[4:], *new]
    assert harness.live.is_exact(50) and harness.live.info().tail_rows == 0


def recreate_collection(harness: ExternalHarness, name: str = "second") -> None:
    """Replace the collection by an empty one with another identity."""
    harness.fake.collection = name
    harness.fake.vectors.clear()


def test_recreated_collection_is_treated_as_empty(caplog: pytest.LogCaptureFixture) -> None:
    harness = ExternalHarness()
    rows = harness.index_harness.add_rows(unit_vectors(20))
    harness.external_index.catch_up()
    assert harness.live.is_exact()
    recreate_collection(harness)
    assert harness.live.is_exact() and harness.open_live_index().is_exact() and harness.live.info().tail_rows == 20
    assert "is of another collection" in caplog.text
    harness.external_index.build_if_due()
    assert sorted(harness.fake.vectors) == rows
    assert harness.live.is_exact() and (harness.live.info().rows, harness.live.info().tail_rows) == (20, 0)


def test_sync_leaves_many_changes_to_scheduled_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.usecases.external_index.MAX_SYNCED_CHANGES", 3)
    harness = ExternalHarness()
    harness.index_harness.add_rows(unit_vectors(1))
    harness.external_index.catch_up()
    harness.index_harness.add_rows(unit_vectors(4))
    harness.external_index.sync_recent_changes()
    assert len(harness.fake.vectors) == 1 and harness.live.is_exact()
    harness.external_index.build_if_due()
    assert len(harness.fake.vectors) == 5
    recreate_collection(harness)
    harness.index_harness.add_rows(unit_vectors(1))
    harness.external_index.sync_recent_changes()
    assert not harness.fake.vectors and harness.live.is_exact(), "an upload must not fill an empty collection"


def test_sync_logs_errors_instead_of_raising(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    harness = ExternalHarness()
    harness.index_harness.add_rows(unit_vectors(1))
    harness.external_index.catch_up()
    harness.index_harness.add_rows(unit_vectors(1))

    def raise_error(*_: object) -> None:
        raise ValueError("bug in a library")

    monkeypatch.setattr(harness.fake, "upsert", raise_error)
    harness.external_index.sync_recent_changes()
    assert "bug in a library" in caplog.text and harness.live.is_exact()


@pytest.mark.parametrize("change", [{"kind": "manifest"}, {"embedder": "other-1"}, {"commit": None}])
def test_signed_document_of_other_kind_is_not_a_watermark(
    change: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    harness = ExternalHarness()
    harness.index_harness.add_rows(unit_vectors(3))
    harness.external_index.catch_up()
    watermark = (
        verify_json(harness.index_harness.store.get(harness.external_index.watermark_path), KEY, "The watermark")
        | change
    )
    harness.index_harness.tamper(
        harness.external_index.watermark_path,
        sign_json({name: value for name, value in watermark.items() if value is not None}, KEY),
    )
    assert harness.open_live_index().is_exact() and harness.open_live_index().info().tail_rows == 3
    harness.external_index.catch_up()
    assert "is of another embedder" in caplog.text and harness.open_live_index().info().tail_rows == 0


def test_catch_up_without_changes_writes_nothing() -> None:
    harness = ExternalHarness()
    harness.index_harness.add_rows(unit_vectors(3))
    harness.external_index.catch_up()
    before = harness.index_harness.store.stat(harness.external_index.watermark_path)
    harness.fake.vectors.clear()
    harness.external_index.catch_up()
    assert (
        harness.index_harness.store.stat(harness.external_index.watermark_path) == before and not harness.fake.vectors
    )


def test_reconcile_restores_missing_rows_and_deletes_surplus_rows(caplog: pytest.LogCaptureFixture) -> None:
    harness = ExternalHarness()
    rows = harness.index_harness.add_rows(unit_vectors(1200))
    harness.external_index.build_if_due()
    for row_id in rows[100:800]:
        del harness.fake.vectors[row_id]
    harness.fake.vectors[9999] = unit_vectors(1)[0]
    manifest = harness.external_index.build_if_due()
    assert "700 missing rows and 1 surplus rows" in caplog.text
    assert sorted(harness.fake.vectors) == rows and manifest.rows == 1200
    assert harness.live.is_exact()


def test_build_rewrites_wrong_vectors() -> None:
    harness = ExternalHarness()
    rows = harness.index_harness.add_rows(unit_vectors(4))
    harness.external_index.build()
    original = harness.fake.vectors[rows[2]]
    harness.fake.vectors[rows[2]] = unit_vectors(1)[0]
    assert harness.external_index.build().rows == 4 and np.array_equal(harness.fake.vectors[rows[2]], original)


def test_row_in_both_external_index_and_tail_is_found_once() -> None:
    harness = ExternalHarness()
    harness.index_harness.add_rows(unit_vectors(3))
    harness.external_index.catch_up()
    assert harness.live.is_exact()
    (row_id,) = harness.index_harness.add_rows(unit_vectors(1))
    harness.live.info()
    harness.fake.upsert(np.array([row_id]), harness.index_harness.catalog.changes(EMBEDDER, 0).vectors[-1:])
    assert harness.live.is_exact(9)


def test_deleted_row_that_reappears_in_external_index_is_not_found() -> None:
    harness = ExternalHarness()
    rows = harness.index_harness.add_rows(unit_vectors(4))
    harness.external_index.catch_up()
    harness.index_harness.delete_row(rows[0])
    harness.external_index.catch_up()
    harness.fake.vectors[rows[0]] = unit_vectors(1)[0]
    assert harness.open_live_index().is_exact(9)


@pytest.mark.parametrize("data", [b"{}", b"", b"null"])
def test_watermark_with_invalid_signature_is_rewritten(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    harness = ExternalHarness()
    harness.index_harness.add_rows(unit_vectors(3))
    harness.external_index.catch_up()
    harness.index_harness.tamper(harness.external_index.watermark_path, data)
    assert harness.open_live_index().is_exact() and harness.open_live_index().info().tail_rows == 3
    harness.external_index.catch_up()
    assert "Writing all rows" in caplog.text and harness.open_live_index().info().tail_rows == 0
    other_key = harness.open_external_index(b"another key")
    other_key.catch_up()
    assert harness.open_live_index().is_exact()


@given(
    st.lists(
        st.sampled_from(["add", "delete", "sync", "reconcile", "fail", "recover", "recreate", "search"]), max_size=25
    )
)
@settings(max_examples=60, deadline=None)
def test_searches_equal_brute_force_after_any_steps(steps: list[str]) -> None:
    harness, existing = ExternalHarness(), list[int]()
    for step in steps:
        match step:
            case "add":
                existing += harness.index_harness.add_rows(unit_vectors(2))
            case "delete" if existing:
                harness.index_harness.delete_row(existing.pop(len(existing) // 2))
            case "sync":
                harness.external_index.sync_recent_changes()
            case "reconcile" if not harness.fake.is_unavailable:
                harness.external_index.build_if_due()
                assert sorted(harness.fake.vectors) == sorted(existing)
            case "fail" | "recover":
                harness.fake.is_unavailable = step == "fail"
            case "recreate":
                recreate_collection(harness, f"{harness.fake.collection}+")
            case "search" if not harness.fake.is_unavailable:
                assert harness.live.is_exact(9)
    harness.fake.is_unavailable = False
    assert harness.live.is_exact(9) and harness.open_live_index().is_exact(9)

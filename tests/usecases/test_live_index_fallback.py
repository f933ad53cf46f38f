"""Live index with damaged versions or pointers, or an unavailable store: it falls back to valid data."""

import json
import logging
from dataclasses import asdict

import numpy as np
import pytest

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART, NeighborsFormat
from lookalike.domain.errors import NotFound, Unavailable
from lookalike.domain.model import Manifest
from lookalike.domain.ports import VectorIndex
from lookalike.domain.signed_json import sign_json
from lookalike.domain.vector_source import vector_source_from_arrays
from lookalike.usecases.index_versions import IndexVersions
from tests.usecases.index_harness import (
    DIM,
    EMBEDDER,
    FOLDER,
    KEY,
    POINTER_PATH,
    IndexHarness,
    RecordingStore,
    unit_vectors,
)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages of all logged errors."""
    return [record.message for record in caplog.records if record.levelno == logging.ERROR]


@pytest.mark.parametrize("name", ["manifest.json", INDEX_PART])
def test_damaged_version_is_logged_once_and_old_version_stays_in_use(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    first, live = harness.reindex.build(), harness.open_live_index()
    live.index.warm_up()
    harness.add_rows(unit_vectors(2))
    damaged = harness.reindex.build()
    path = f"{FOLDER}/{damaged.version}/{name}"
    harness.tamper(path, harness.store.get(path)[:-1] + b"!")
    assert live.is_exact() and live.info().version == first.version
    assert len(errors(caplog)) == 1 and damaged.version in errors(caplog)[0]
    third = harness.reindex.build()
    assert live.is_exact() and live.info().version == third.version


def test_damaged_pointer_is_logged_once_and_old_version_stays_in_use(caplog: pytest.LogCaptureFixture) -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    first, live = harness.reindex.build(), harness.open_live_index()
    live.index.warm_up()
    original = harness.store.get(POINTER_PATH)
    for position in range(len(original)):
        harness.tamper(POINTER_PATH, original[:position] + bytes([original[position] ^ 1]) + original[position + 1 :])
        assert live.info().version == first.version
    assert errors(caplog) and live.is_exact()
    for data, error_count in ((original, 0), (b"{}", 1), (b"[]", 0), (original, 0), (b"{}", 1)):
        caplog.clear()
        harness.tamper(POINTER_PATH, data)
        assert live.is_exact() and live.info().version == first.version
        assert len(errors(caplog)) == error_count


@pytest.mark.parametrize("defect", ["damaged", "another key", "another dimension", "missing"])
def test_live_index_has_all_rows_in_tail_if_only_version_is_invalid(
    defect: str, caplog: pytest.LogCaptureFixture
) -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    harness.add_rows(unit_vectors(3), "other")
    version = harness.reindex.build().version
    match defect:
        case "damaged":
            harness.tamper(f"{FOLDER}/{version}/{INDEX_PART}", b"damaged")
        case "another dimension":
            manifest = asdict(harness.versions.read_manifest(version))
            harness.tamper(f"{FOLDER}/{version}/manifest.json", sign_json({**manifest, "dimension": 5}, KEY))
        case "missing":
            harness.store.delete(f"{FOLDER}/{version}/manifest.json")
    live = harness.open_live_index(versions=harness.open_versions(b"new" if defect == "another key" else KEY))
    info = live.info()
    assert (info.version, info.rows, info.tail_rows) == (None, 10, 10)
    assert live.is_exact() and len(errors(caplog)) == 1


@pytest.mark.parametrize("name", ["manifest.json", INDEX_PART, None])
def test_live_index_starts_with_previous_version_if_current_one_is_damaged(
    name: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    old = harness.reindex.build()
    harness.add_rows(unit_vectors(3))
    damaged = harness.reindex.build()
    path = f"{FOLDER}/{damaged.version}/{name}"
    harness.tamper(path, b"damaged") if name else harness.store.delete(f"{FOLDER}/{damaged.version}/{ID_MAP_PART}")
    live = harness.open_live_index()
    info = live.info()
    assert (info.version, info.rows, info.tail_rows) == (old.version, 13, 3) and live.is_exact()
    assert damaged.version in errors(caplog)[0]
    newest = harness.reindex.build()
    assert live.info().version == newest.version and live.is_exact()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", "unsigned", "another key"])
def test_live_index_starts_with_newest_version_if_pointer_is_damaged(
    data: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    harness.reindex.build()
    harness.add_rows(unit_vectors(3))
    newest = harness.reindex.build()
    content = {"version": newest.version, "commit": newest.commit, "pinned": False}
    forged = {"unsigned": json.dumps(content).encode(), "another key": sign_json(content, b"no")}
    harness.tamper(POINTER_PATH, forged[data] if isinstance(data, str) else data)
    live = harness.open_live_index()
    harness.add_rows(unit_vectors(2))
    for _ in range(2):
        info = live.info()
        assert (info.version, info.rows, info.tail_rows) == (newest.version, 15, 2) and live.is_exact()
    assert len(errors(caplog)) == 1
    third = harness.reindex.build()
    assert live.info().version == third.version and live.is_exact()


@pytest.mark.parametrize("name", ["manifest.json", INDEX_PART])
def test_damaged_version_is_read_once_while_older_version_is_in_use(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = RecordingStore()
    harness = IndexHarness(store)
    harness.add_rows(unit_vectors(10))
    harness.reindex.build()
    harness.add_rows(unit_vectors(3))
    path = f"{FOLDER}/{harness.reindex.build().version}/{name}"
    harness.tamper(path, b"damaged")
    live = harness.open_live_index()
    live.info()
    store.read_paths.clear()
    for _ in range(3):
        assert live.is_exact()
    assert set(store.read_paths) == {POINTER_PATH} and len(errors(caplog)) == 1


def test_live_index_rejects_version_ahead_of_catalog(caplog: pytest.LogCaptureFixture) -> None:
    harness = IndexHarness()
    harness.versions.publish(vector_source_from_arrays(np.arange(1, 10), unit_vectors(9)), 99, harness.clock())
    harness.add_rows(unit_vectors(4))
    live = harness.open_live_index()
    assert live.is_exact() and live.info().version is None
    assert "ahead of the catalog" in errors(caplog)[0]


class PruningVersions(IndexVersions):
    """Versions that are pruned just before they are loaded, the given number of times."""

    def __init__(self, harness: IndexHarness, times: int) -> None:
        super().__init__(harness.store, NeighborsFormat(), KEY, EMBEDDER, DIM, harness.clock)
        self.harness, self.times = harness, times

    def load(self, version: str) -> tuple[Manifest, VectorIndex]:
        if self.times:
            self.times -= 1
            for _ in range(3):
                self.harness.reindex.build()
            with pytest.raises(NotFound):
                super().load(version)
        return super().load(version)


def test_live_index_follows_pointer_if_version_is_pruned_while_loading() -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    harness.reindex.build()
    live = harness.open_live_index(versions=PruningVersions(harness, 2))
    pointer = live.info().version
    current = harness.versions.current()
    assert current and pointer == current.version and live.is_exact()


def test_unavailable_store_keeps_loaded_version_and_fails_first_load(caplog: pytest.LogCaptureFixture) -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(10))
    harness.reindex.build()
    not_loaded, live = harness.open_live_index(), harness.open_live_index()
    live.index.warm_up()
    harness.store.is_unavailable = True
    harness.add_rows(unit_vectors(2))
    assert live.is_exact() and live.info().rows == 12
    with pytest.raises(Unavailable):
        not_loaded.index.warm_up()
    harness.store.is_unavailable = False
    assert not_loaded.is_exact() and not_loaded.info().version == live.info().version
    assert not errors(caplog)

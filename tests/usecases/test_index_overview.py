"""State of the index for administrators, and what replaced garments mean for indexes."""

import numpy as np
import pytest

from lookalike.domain.errors import Conflict
from lookalike.domain.model import Box, NewSegment
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.index_overview import IndexOverview
from lookalike.usecases.live_index import LiveIndex
from tests.fakes.external_index import FakeExternalIndex
from tests.usecases.index_harness import DIM, EMBEDDER, KEY, IndexHarness, LiveIndexProbe, unit_vectors

OTHER = "other-1"


def replace_row(harness: IndexHarness, row_id: int) -> None:
    """Give a row another vector, as a garment that is cut out again has."""
    (vector,) = unit_vectors(1)
    new = NewSegment("ignored", f"new/{row_id}.png", f"new/{row_id}.jpg", Box(0, 0, 1, 1), None, None, vector)
    assert harness.catalog.replace_segment(row_id, new, EMBEDDER)


def test_version_in_use_and_rows_since_are_shown() -> None:
    harness = IndexHarness()
    row_ids = harness.add_rows(unit_vectors(20))
    old = harness.reindex.build()
    new = harness.reindex.build()
    overview = IndexOverview(harness.open_live_index().index, harness.versions)
    replace_row(harness, row_ids[0])
    state = overview.read()
    assert [manifest.version for manifest in state.versions] == [old.version, new.version]
    assert state.pointer and state.pointer.version == new.version and not state.pointer.pinned
    assert (state.info.rows, state.info.tail_rows) == (20, 1)
    assert overview.roll_back(None).version == old.version
    pointer = overview.read().pointer
    assert pointer and pointer.version == old.version and pointer.pinned


def test_external_index_has_no_versions_to_return_to() -> None:
    harness = IndexHarness()
    harness.add_rows(unit_vectors(3))
    source = ExternalIndex(FakeExternalIndex(), harness.catalog, harness.store, KEY, EMBEDDER, DIM, harness.clock)
    source.catch_up()
    overview = IndexOverview(LiveIndex(source, harness.catalog, EMBEDDER, DIM, 0), source)
    state = overview.read()
    assert state.versions == [] and state.pointer and state.info.version == state.pointer.version
    with pytest.raises(Conflict, match="Milvus"):
        overview.roll_back(None)


@pytest.mark.parametrize("has_other_vector", [False, True])
@pytest.mark.parametrize("is_external", [False, True])
def test_search_compares_with_the_new_picture_of_a_garment(is_external: bool, has_other_vector: bool) -> None:
    harness = IndexHarness()
    row_ids = harness.add_rows(unit_vectors(30))
    if has_other_vector:
        harness.catalog.add_vectors(OTHER, dict.fromkeys(row_ids, np.ones(2, np.float32)))
    source = ExternalIndex(FakeExternalIndex(), harness.catalog, harness.store, KEY, EMBEDDER, DIM, harness.clock)
    if is_external:
        source.catch_up()
    else:
        harness.reindex.build()
    index = LiveIndex(source if is_external else harness.versions, harness.catalog, EMBEDDER, DIM, 0)
    probe = LiveIndexProbe(harness, index)
    assert probe.is_exact(30)
    for row_id in row_ids[:3]:
        replace_row(harness, row_id)
    assert probe.is_exact(30)
    # what was written to the external index must not be deleted there again
    source.catch_up()
    assert probe.is_exact(30)
    if not is_external:
        assert harness.reindex.build_if_due() is not None
    fresh = LiveIndex(source if is_external else harness.versions, harness.catalog, EMBEDDER, DIM, 0)
    assert LiveIndexProbe(harness, fresh).is_exact(30)

"""Contract of the port `SecondaryVectors`: vectors of further embedders, and when searches see them."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import event, insert, select

from lookalike.adapters.catalog import SqlCatalog
from lookalike.adapters.catalog.commits import next_commit_number
from lookalike.adapters.catalog.secondary_vectors import has_vector
from lookalike.adapters.catalog.tables import originals, other_embeddings, splitted_images
from lookalike.adapters.catalog.values import vector_bytes
from lookalike.domain.filter import Condition
from tests.contracts.rows import MODEL, World, add_photo, deleted_ids, written_ids
from tests.fakes.catalog import FakeCatalog

NEW_EMBEDDER = "full-1"


def sample_vectors(row_ids: list[int]) -> dict[int, NDArray[np.float32]]:
    """Return a different vector for each row."""
    return {row_id: np.array([row_id, 0.5], np.float32) for row_id in row_ids}


@pytest.fixture
def catalog(world: World) -> FakeCatalog:
    """Each catalog in turn. Typed as the fake, because every catalog implements catalog ports."""
    return world.catalog  # type: ignore[return-value]


def test_segments_missing_vectors_are_listed_in_order(catalog: FakeCatalog) -> None:
    old, new = add_photo(catalog, "old", 3), add_photo(catalog, "new", 2, NEW_EMBEDDER)
    assert catalog.count_segments() == 5
    assert catalog.count_missing_vectors(NEW_EMBEDDER) == 3 and catalog.count_missing_vectors(MODEL) == 2
    assert [segment.row_id for segment in catalog.segments_missing_vectors(NEW_EMBEDDER, 0, 2)] == old[:2]
    assert [segment.row_id for segment in catalog.segments_missing_vectors(NEW_EMBEDDER, old[1], 9)] == old[2:]
    assert [segment.row_id for segment in catalog.segments_missing_vectors(MODEL, 0, 9)] == new
    assert catalog.add_vectors(NEW_EMBEDDER, sample_vectors(old[:2])) == 2
    assert (
        catalog.count_missing_vectors(NEW_EMBEDDER) == 1
        and [segment.row_id for segment in catalog.segments_missing_vectors(NEW_EMBEDDER, 0, 9)] == old[2:]
    )


def test_embedder_sees_only_its_own_vectors(catalog: FakeCatalog) -> None:
    old = add_photo(catalog, "old", 3)
    before, old_changes = catalog.changes(NEW_EMBEDDER, 0).last_commit, catalog.changes(MODEL, 0)
    catalog.add_vectors(NEW_EMBEDDER, sample_vectors(old[1:]))
    new = add_photo(catalog, "new", 1, NEW_EMBEDDER)
    for since in (0, before):
        assert written_ids(catalog.changes(NEW_EMBEDDER, since)) == [*old[1:], *new]
    assert (
        written_ids(catalog.changes(MODEL, 0)) == old
        and written_ids(catalog.changes(MODEL, old_changes.last_commit)) == []
    )
    assert {row_id: vector.tolist() for row_id, vector in catalog.vectors(NEW_EMBEDDER, old).items()} == {
        row_id: [row_id, 0.5] for row_id in old[1:]
    }
    assert catalog.vectors(MODEL, old)[old[1]].tolist() == [1, 1]


def test_add_vectors_skips_existing_vectors_and_deleted_rows(catalog: FakeCatalog) -> None:
    old, new = add_photo(catalog, "old", 2), add_photo(catalog, "new", 1, NEW_EMBEDDER)
    assert catalog.add_vectors(NEW_EMBEDDER, sample_vectors([*old, *new, 10_000])) == 2
    seen = catalog.changes(NEW_EMBEDDER, 0).last_commit
    assert catalog.add_vectors(NEW_EMBEDDER, sample_vectors(old)) == 0
    assert catalog.changes(NEW_EMBEDDER, 0).last_commit == seen


def test_deletion_is_a_change_for_both_embedders(catalog: FakeCatalog) -> None:
    old = add_photo(catalog, "old", 2)
    catalog.add_vectors(NEW_EMBEDDER, sample_vectors(old))
    seen = catalog.changes(NEW_EMBEDDER, 0).last_commit
    catalog.delete_segment("old_segment_0")
    for embedder in (MODEL, NEW_EMBEDDER):
        assert deleted_ids(catalog.changes(embedder, seen)) == old[:1]
        assert written_ids(catalog.changes(embedder, 0)) == old[1:]
    assert catalog.vectors(NEW_EMBEDDER, old).keys() == {old[1]}


def test_filter_matches_only_rows_with_vectors_of_embedder(catalog: FakeCatalog) -> None:
    old = add_photo(catalog, "old", 2)
    dresses = {"label": Condition(any_of=("dress",))}
    assert catalog.matching_row_ids(NEW_EMBEDDER, dresses).tolist() == []
    catalog.add_vectors(NEW_EMBEDDER, sample_vectors(old[:1]))
    assert (
        catalog.matching_row_ids(NEW_EMBEDDER, dresses).tolist() == old[:1]
        and catalog.matching_row_ids(MODEL, dresses).tolist() == old
    )


def test_drop_other_vectors_keeps_only_new_vector(catalog: FakeCatalog) -> None:
    old = add_photo(catalog, "old", 3)
    catalog.add_vectors(NEW_EMBEDDER, sample_vectors(old))
    before, seen = catalog.changes(NEW_EMBEDDER, 0), catalog.changes(NEW_EMBEDDER, 0).last_commit
    assert [catalog.drop_other_vectors(NEW_EMBEDDER, 2) for _ in range(3)] == [2, 1, 0]
    after = catalog.changes(NEW_EMBEDDER, 0)
    assert written_ids(after) == old and np.array_equal(after.vectors, before.vectors)
    assert written_ids(catalog.changes(NEW_EMBEDDER, seen)) == [] and written_ids(catalog.changes(MODEL, 0)) == []
    assert catalog.count_missing_vectors(MODEL) == 3
    catalog.delete_segment("old_segment_1")
    assert deleted_ids(catalog.changes(NEW_EMBEDDER, seen)) == [old[1]]


def test_drop_other_vectors_removes_secondary_vectors_of_others(catalog: FakeCatalog) -> None:
    old, new = add_photo(catalog, "old", 2), add_photo(catalog, "new", 2, NEW_EMBEDDER)
    catalog.add_vectors(NEW_EMBEDDER, sample_vectors(old))
    catalog.add_vectors(MODEL, sample_vectors(new[:1]))
    changed = 0
    while count := catalog.drop_other_vectors(NEW_EMBEDDER, 1):
        changed += count
    assert (
        changed == 3
        and catalog.count_missing_vectors(MODEL) == 4
        and written_ids(catalog.changes(NEW_EMBEDDER, 0)) == [*old, *new]
    )
    assert catalog.vectors(MODEL, [*old, *new]) == {}


def test_deletion_during_drop_is_a_change_for_new_embedder(mysql: SqlCatalog, world: World) -> None:
    (row_id,) = add_photo(mysql, "look", 1)
    mysql.add_vectors(NEW_EMBEDDER, sample_vectors([row_id]))
    seen = mysql.changes(NEW_EMBEDDER, 0).last_commit
    dropping: SqlCatalog = world.open_another()  # type: ignore[assignment]
    deleting = threading.Thread(target=mysql.delete_segment, args=("look_segment_0",))
    with dropping.transaction(writes=True) as tx:
        tx.execute(select(originals.c.name).where(originals.c.name == "look").with_for_update()).one()
        deleting.start()
        wait_for_lock_waits(dropping)
        assert dropping.drop_other_vectors(NEW_EMBEDDER, 9) == 1
    deleting.join()
    assert (
        deleted_ids(mysql.changes(NEW_EMBEDDER, seen)) == [row_id] and written_ids(mysql.changes(NEW_EMBEDDER, 0)) == []
    )


def test_drop_skips_rows_deleted_meanwhile(mysql: SqlCatalog, world: World) -> None:
    (row_id,) = add_photo(mysql, "look", 1)
    mysql.add_vectors(NEW_EMBEDDER, sample_vectors([row_id]))
    seen = mysql.changes(NEW_EMBEDDER, 0).last_commit
    other_catalog: SqlCatalog = world.open_another()  # type: ignore[assignment]
    deleting = threading.Thread(target=mysql.delete_segment, args=("look_segment_0",))
    dropping = threading.Thread(target=mysql.drop_other_vectors, args=(NEW_EMBEDDER, 9))
    with other_catalog.transaction(writes=True) as tx:
        next_commit_number(tx)  # Locks the counter, which the deletion needs last.
        deleting.start()
        wait_for_lock_waits(other_catalog)
        dropping.start()
        wait_for_lock_waits(other_catalog, 2)
    deleting.join()
    dropping.join()
    for embedder in (MODEL, NEW_EMBEDDER):
        assert deleted_ids(mysql.changes(embedder, seen)) == [row_id] and written_ids(mysql.changes(embedder, 0)) == []
    assert mysql.vectors(NEW_EMBEDDER, [row_id]) == {}


def test_add_vectors_keeps_vectors_added_by_other_transaction(mysql: SqlCatalog, world: World) -> None:
    row_ids = add_photo(mysql, "look", 2)
    other_vector = sample_vectors(row_ids[1:])[row_ids[1]] + 1
    other_catalog: SqlCatalog = world.open_another()  # type: ignore[assignment]
    added: list[int] = []
    adding = threading.Thread(target=lambda: added.append(mysql.add_vectors(NEW_EMBEDDER, sample_vectors(row_ids))))
    with other_catalog.transaction(writes=True) as tx:
        tx.execute(select(splitted_images.c.id).where(splitted_images.c.id == row_ids[1]).with_for_update()).one()
        adding.start()
        wait_for_lock_waits(other_catalog)
        row = {
            "row_id": row_ids[1],
            "embedder": NEW_EMBEDDER,
            "embedding": vector_bytes(other_vector),
            "commit_number": next_commit_number(tx),
        }
        tx.execute(insert(other_embeddings).values(row))
    adding.join()
    assert added == [1] and written_ids(mysql.changes(NEW_EMBEDDER, 0)) == row_ids
    assert np.array_equal(mysql.vectors(NEW_EMBEDDER, row_ids)[row_ids[1]], other_vector)


def wait_for_lock_waits(catalog: SqlCatalog, minimum: int = 1) -> None:
    """Wait until at least this many transactions wait for a lock."""
    lock_waits = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with catalog.transaction() as tx:
            if tx.exec_driver_sql(lock_waits).scalar_one() >= minimum:
                return
        # InnoDB refreshes this table only if it was not read for 0.1 s.
        time.sleep(0.2)
    pytest.fail("No transaction waits for a lock")


def test_secondary_vector_is_looked_up_by_row_id(sql: SqlCatalog) -> None:
    """A full list for every page and filtered search would be slow."""
    if sql.engine.dialect.name != "sqlite":
        pytest.skip("The plan of MariaDB depends on its statistics")
    query = select(splitted_images.c.id).where(has_vector(NEW_EMBEDDER))
    text = query.compile(sql.engine, compile_kwargs={"literal_binds": True})
    with sql.transaction() as tx:
        plan = [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert any("other_embeddings" in step and "row_id=?" in step for step in plan), plan


def test_missing_vectors_query_does_not_scan_full_tables(sql: SqlCatalog) -> None:
    row_ids = add_photo(sql, "many", 300)
    sql.add_vectors(NEW_EMBEDDER, sample_vectors(row_ids[:150]))
    plan = query_plan(sql, lambda: sql.segments_missing_vectors(NEW_EMBEDDER, 0, 32))
    assert "other_embeddings" in plan and "MATERIALIZED" not in plan and "LIST SUBQUERY" not in plan, plan


def test_drop_query_does_not_sort(sql: SqlCatalog) -> None:
    sql.add_vectors(NEW_EMBEDDER, sample_vectors(add_photo(sql, "many", 3)))
    plan = query_plan(sql, lambda: sql.drop_other_vectors(NEW_EMBEDDER, 2))
    assert "ix_other_embeddings_commit" in plan and "B-TREE" not in plan and "filesort" not in plan, plan


def query_plan(sql: SqlCatalog, call: Callable[[], object]) -> str:
    """Return the query plans of all SELECT statements of a call."""
    statements: list[tuple[str, Any]] = []

    def record(connection: object, cursor: object, statement: str, values: Any, *_: object) -> None:
        statements.append((statement, values))

    event.listen(sql.engine, "before_cursor_execute", record)
    call()
    event.remove(sql.engine, "before_cursor_execute", record)
    explain = "EXPLAIN QUERY PLAN" if sql.engine.dialect.name == "sqlite" else "EXPLAIN"
    with sql.transaction() as tx:
        selects = [statement for statement in statements if statement[0].startswith("SELECT")]
        return "\n".join(
            str(row) for text, values in selects for row in tx.exec_driver_sql(f"{explain} {text}", values)
        )

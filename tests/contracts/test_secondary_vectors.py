"""The contract of the port `Beside`: vectors of another embedder, and who sees them when."""

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

NEW = "full-1"


def vectors(row_ids: list[int]) -> dict[int, NDArray[np.float32]]:
    return {row_id: np.array([row_id, 0.5], np.float32) for row_id in row_ids}


@pytest.fixture
def both(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog is both ports."""
    return world.catalog  # type: ignore[return-value]


def test_what_has_no_such_vector_yet_is_listed_in_order(both: FakeCatalog) -> None:
    old, new = add_photo(both, "old", 3), add_photo(both, "new", 2, NEW)
    assert both.count_missing_vectors(NEW) == 3 and both.count_missing_vectors(MODEL) == 2
    assert [one.row_id for one in both.segments_missing_vectors(NEW, 0, 2)] == old[:2]
    assert [one.row_id for one in both.segments_missing_vectors(NEW, old[1], 9)] == old[2:]
    assert [one.row_id for one in both.segments_missing_vectors(MODEL, 0, 9)] == new
    assert both.add_vectors(NEW, vectors(old[:2])) == 2
    assert (
        both.count_missing_vectors(NEW) == 1
        and [one.row_id for one in both.segments_missing_vectors(NEW, 0, 9)] == old[2:]
    )


def test_each_embedder_sees_its_own_vectors_alone(both: FakeCatalog) -> None:
    old = add_photo(both, "old", 3)
    before, mine = both.changes(NEW, 0).last_commit, both.changes(MODEL, 0)
    both.add_vectors(NEW, vectors(old[1:]))
    new = add_photo(both, "new", 1, NEW)
    for since in (0, before):
        assert written_ids(both.changes(NEW, since)) == [*old[1:], *new]
    assert written_ids(both.changes(MODEL, 0)) == old and written_ids(both.changes(MODEL, mine.last_commit)) == []
    assert {key: one.tolist() for key, one in both.vectors(NEW, old).items()} == {
        row_id: [row_id, 0.5] for row_id in old[1:]
    }
    assert both.vectors(MODEL, old)[old[1]].tolist() == [1, 1]


def test_a_vector_is_not_added_twice_nor_to_what_is_gone(both: FakeCatalog) -> None:
    old, new = add_photo(both, "old", 2), add_photo(both, "new", 1, NEW)
    assert both.add_vectors(NEW, vectors([*old, *new, 10_000])) == 2
    seen = both.changes(NEW, 0).last_commit
    assert both.add_vectors(NEW, vectors(old)) == 0
    assert both.changes(NEW, 0).last_commit == seen


def test_both_embedders_hear_of_a_deletion(both: FakeCatalog) -> None:
    old = add_photo(both, "old", 2)
    both.add_vectors(NEW, vectors(old))
    seen = both.changes(NEW, 0).last_commit
    both.delete_segment("old_segment_0")
    for embedder in (MODEL, NEW):
        assert deleted_ids(both.changes(embedder, seen)) == old[:1]
        assert written_ids(both.changes(embedder, 0)) == old[1:]
    assert both.vectors(NEW, old).keys() == {old[1]}


def test_filters_find_what_the_embedder_can(both: FakeCatalog) -> None:
    old = add_photo(both, "old", 2)
    wanted = {"label": Condition(any_of=("dress",))}
    assert both.matching_row_ids(NEW, wanted).tolist() == []
    both.add_vectors(NEW, vectors(old[:1]))
    assert (
        both.matching_row_ids(NEW, wanted).tolist() == old[:1] and both.matching_row_ids(MODEL, wanted).tolist() == old
    )


def test_settled_garments_have_the_new_vector_alone(both: FakeCatalog) -> None:
    old = add_photo(both, "old", 3)
    both.add_vectors(NEW, vectors(old))
    before, seen = both.changes(NEW, 0), both.changes(NEW, 0).last_commit
    assert [both.drop_other_vectors(NEW, 2), both.drop_other_vectors(NEW, 2), both.drop_other_vectors(NEW, 2)] == [
        2,
        1,
        0,
    ]
    after = both.changes(NEW, 0)
    assert written_ids(after) == old and np.array_equal(after.vectors, before.vectors)
    assert written_ids(both.changes(NEW, seen)) == [] and written_ids(both.changes(MODEL, 0)) == []
    assert both.count_missing_vectors(MODEL) == 3
    both.delete_segment("old_segment_1")
    assert deleted_ids(both.changes(NEW, seen)) == [old[1]]


def test_settled_nothing_of_others_is_left_beside(both: FakeCatalog) -> None:
    old, new = add_photo(both, "old", 2), add_photo(both, "new", 2, NEW)
    both.add_vectors(NEW, vectors(old))
    both.add_vectors(MODEL, vectors(new[:1]))
    settled = 0
    while count := both.drop_other_vectors(NEW, 1):
        settled += count
    assert settled == 3 and both.count_missing_vectors(MODEL) == 4 and written_ids(both.changes(NEW, 0)) == [*old, *new]
    assert both.vectors(MODEL, [*old, *new]) == {}


def test_a_deletion_beside_settling_is_heard_of(mysql: SqlCatalog, world: World) -> None:
    (row_id,) = add_photo(mysql, "look", 1)
    mysql.add_vectors(NEW, vectors([row_id]))
    seen = mysql.changes(NEW, 0).last_commit
    settling: SqlCatalog = world.open_another()  # type: ignore[assignment]
    deleting = threading.Thread(target=mysql.delete_segment, args=("look_segment_0",))
    with settling.transaction(writes=True) as tx:
        tx.execute(select(originals.c.name).where(originals.c.name == "look").with_for_update()).one()
        deleting.start()
        wait_for_a_lock(settling)
        assert settling.drop_other_vectors(NEW, 9) == 1
    deleting.join()
    assert deleted_ids(mysql.changes(NEW, seen)) == [row_id] and written_ids(mysql.changes(NEW, 0)) == []


def test_what_is_deleted_meanwhile_is_not_settled(mysql: SqlCatalog, world: World) -> None:
    (row_id,) = add_photo(mysql, "look", 1)
    mysql.add_vectors(NEW, vectors([row_id]))
    seen = mysql.changes(NEW, 0).last_commit
    another: SqlCatalog = world.open_another()  # type: ignore[assignment]
    deleting = threading.Thread(target=mysql.delete_segment, args=("look_segment_0",))
    settling = threading.Thread(target=mysql.drop_other_vectors, args=(NEW, 9))
    with another.transaction(writes=True) as tx:
        next_commit_number(tx)  # which the deletion needs last
        deleting.start()
        wait_for_a_lock(another)
        settling.start()
        wait_for_a_lock(another, 2)
    deleting.join()
    settling.join()
    for embedder in (MODEL, NEW):
        assert deleted_ids(mysql.changes(embedder, seen)) == [row_id] and written_ids(mysql.changes(embedder, 0)) == []
    assert mysql.vectors(NEW, [row_id]) == {}


def test_vectors_that_another_adds_meanwhile_are_left_alone(mysql: SqlCatalog, world: World) -> None:
    row_ids = add_photo(mysql, "look", 2)
    theirs = vectors(row_ids[1:])[row_ids[1]] + 1
    another: SqlCatalog = world.open_another()  # type: ignore[assignment]
    added: list[int] = []
    adding = threading.Thread(target=lambda: added.append(mysql.add_vectors(NEW, vectors(row_ids))))
    with another.transaction(writes=True) as tx:
        tx.execute(select(splitted_images.c.id).where(splitted_images.c.id == row_ids[1]).with_for_update()).one()
        adding.start()
        wait_for_a_lock(another)
        row = {
            "row_id": row_ids[1],
            "embedder": NEW,
            "embedding": vector_bytes(theirs),
            "commit_number": next_commit_number(tx),
        }
        tx.execute(insert(other_embeddings).values(row))
    adding.join()
    assert added == [1] and written_ids(mysql.changes(NEW, 0)) == row_ids
    assert np.array_equal(mysql.vectors(NEW, row_ids)[row_ids[1]], theirs)


def wait_for_a_lock(catalog: SqlCatalog, least: int = 1) -> None:
    """Until so many transactions wait for others."""
    waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with catalog.transaction() as tx:
            if tx.exec_driver_sql(waiting).scalar_one() >= least:
                return
        time.sleep(0.2)  # what InnoDB tells is kept until nobody has asked for 0.1 s
    pytest.fail("Nobody waits")


def test_what_is_beside_is_looked_up_by_its_key(sql: SqlCatalog) -> None:
    """And not listed in full for every page and every filtered search."""
    if sql.engine.dialect.name != "sqlite":
        pytest.skip("MariaDB chooses by what a search is for")
    query = select(splitted_images.c.id).where(has_vector(NEW))
    text = query.compile(sql.engine, compile_kwargs={"literal_binds": True})
    with sql.transaction() as tx:
        plan = [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert any("other_embeddings" in step and "row_id=?" in step for step in plan), plan


def test_a_page_lists_nothing_in_full(sql: SqlCatalog) -> None:
    row_ids = add_photo(sql, "many", 300)
    sql.add_vectors(NEW, vectors(row_ids[:150]))
    plan = plan_of(sql, lambda: sql.segments_missing_vectors(NEW, 0, 32))
    assert "other_embeddings" in plan and "MATERIALIZED" not in plan and "LIST SUBQUERY" not in plan, plan


def test_what_is_to_settle_is_not_sorted(sql: SqlCatalog) -> None:
    sql.add_vectors(NEW, vectors(add_photo(sql, "many", 3)))
    plan = plan_of(sql, lambda: sql.drop_other_vectors(NEW, 2))
    assert "ix_other_embeddings_commit" in plan and "B-TREE" not in plan and "filesort" not in plan, plan


def plan_of(sql: SqlCatalog, call: Callable[[], object]) -> str:
    """How the database answers what that call asks."""
    asked: list[tuple[str, Any]] = []

    def hear(connection: object, cursor: object, statement: str, values: Any, *_: object) -> None:
        asked.append((statement, values))

    event.listen(sql.engine, "before_cursor_execute", hear)
    call()
    event.remove(sql.engine, "before_cursor_execute", hear)
    explain = "EXPLAIN QUERY PLAN" if sql.engine.dialect.name == "sqlite" else "EXPLAIN"
    with sql.transaction() as tx:
        selects = [one for one in asked if one[0].startswith("SELECT")]
        return "\n".join(
            str(row) for text, values in selects for row in tx.exec_driver_sql(f"{explain} {text}", values)
        )

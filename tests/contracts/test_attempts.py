"""The contract of the port `Attempts`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from lookalike.adapters.catalog import SqlCatalog
from tests.contracts.rows import World, one_minute_later
from tests.fakes.catalog import FakeCatalog

AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def attempts(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog is this port, too."""
    return world.catalog  # type: ignore[return-value]


def test_each_key_is_counted_for_itself(attempts: FakeCatalog) -> None:
    assert attempts.add_attempt(["a", "b"], AGO) == {"a": 1, "b": 1}
    assert attempts.add_attempt(["b", "c"], AGO) == {"b": 2, "c": 1}
    attempts.reduce_attempts(["b", "unknown"])
    assert attempts.add_attempt(["a", "b"], AGO) == {"a": 2, "b": 1}


def test_some_of_them_are_taken_back(attempts: FakeCatalog) -> None:
    for _ in range(3):
        attempts.add_attempt(["a", "b"], AGO)
    attempts.reduce_attempts(["a", "unknown"], count=1)
    assert attempts.add_attempt(["a", "b"], AGO) == {"a": 3, "b": 4}
    attempts.reduce_attempts(["a"], count=9)
    assert attempts.add_attempt(["a", "b"], AGO) == {"a": 1, "b": 5}


def test_after_a_while_a_count_begins_anew(attempts: FakeCatalog) -> None:
    attempts.add_attempt(["a"], AGO)
    assert attempts.add_attempt(["a"], AGO) == {"a": 2}
    assert attempts.add_attempt(["a"], one_minute_later()) == {"a": 1}


def test_old_counts_are_forgotten(attempts: FakeCatalog) -> None:
    attempts.add_attempt(["a", "b"], AGO)
    assert attempts.delete_expired_attempts(AGO) == 0
    assert attempts.delete_expired_attempts(one_minute_later()) == 2
    assert attempts.add_attempt(["a"], AGO) == {"a": 1}


@pytest.mark.parametrize("key", ["", "x" * 5000, "\0", "\ud800", "'; DROP TABLE attempts; --"])
def test_any_text_is_a_key(attempts: FakeCatalog, key: str) -> None:
    assert [attempts.add_attempt([key], AGO)[key] for _ in range(2)] == [1, 2]


def test_of_many_at_once_none_is_lost(world: World) -> None:
    catalogs = [world.open_another() for _ in range(4)]

    def count(number: int) -> dict[str, int]:
        one: FakeCatalog = catalogs[number % 4]  # type: ignore[assignment]
        return one.add_attempt(["a", "b"] if number % 2 else ["b", "a"], AGO)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(count, range(40)))
    assert sorted(one["a"] for one in found) == sorted(one["b"] for one in found) == list(range(1, 41))


def test_whose_they_are_is_not_kept(sql: SqlCatalog) -> None:
    sql.add_attempt(["account:anna@example.com"], AGO)
    with sql.transaction() as tx:
        kept = tx.exec_driver_sql("SELECT * FROM attempts").one()
    assert "anna" not in repr(kept)

"""Contract of the port `Attempts`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from lookalike.adapters.catalog import SqlCatalog
from tests.contracts.rows import World, one_minute_later
from tests.fakes.catalog import FakeCatalog

HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def attempts(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements this port."""
    return world.catalog  # type: ignore[return-value]


def test_add_attempt_counts_each_key(attempts: FakeCatalog) -> None:
    assert attempts.add_attempt(["a", "b"], HOUR_AGO) == {"a": 1, "b": 1}
    assert attempts.add_attempt(["b", "c"], HOUR_AGO) == {"b": 2, "c": 1}
    attempts.reduce_attempts(["b", "unknown"])
    assert attempts.add_attempt(["a", "b"], HOUR_AGO) == {"a": 2, "b": 1}


def test_reduce_attempts_subtracts_a_count(attempts: FakeCatalog) -> None:
    for _ in range(3):
        attempts.add_attempt(["a", "b"], HOUR_AGO)
    attempts.reduce_attempts(["a", "unknown"], count=1)
    assert attempts.add_attempt(["a", "b"], HOUR_AGO) == {"a": 3, "b": 4}
    attempts.reduce_attempts(["a"], count=9)
    assert attempts.add_attempt(["a", "b"], HOUR_AGO) == {"a": 1, "b": 5}


def test_add_attempt_restarts_expired_counters(attempts: FakeCatalog) -> None:
    attempts.add_attempt(["a"], HOUR_AGO)
    assert attempts.add_attempt(["a"], HOUR_AGO) == {"a": 2}
    assert attempts.add_attempt(["a"], one_minute_later()) == {"a": 1}


def test_delete_expired_attempts_returns_their_number(attempts: FakeCatalog) -> None:
    attempts.add_attempt(["a", "b"], HOUR_AGO)
    assert attempts.delete_expired_attempts(HOUR_AGO) == 0
    assert attempts.delete_expired_attempts(one_minute_later()) == 2
    assert attempts.add_attempt(["a"], HOUR_AGO) == {"a": 1}


@pytest.mark.parametrize("key", ["", "x" * 5000, "\0", "\ud800", "'; DROP TABLE attempts; --"])
def test_key_can_be_any_text(attempts: FakeCatalog, key: str) -> None:
    assert [attempts.add_attempt([key], HOUR_AGO)[key] for _ in range(2)] == [1, 2]


def test_concurrent_attempts_are_all_counted(world: World) -> None:
    catalogs = [world.open_another() for _ in range(4)]

    def add_attempt(number: int) -> dict[str, int]:
        catalog: FakeCatalog = catalogs[number % 4]  # type: ignore[assignment]
        return catalog.add_attempt(["a", "b"] if number % 2 else ["b", "a"], HOUR_AGO)

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(add_attempt, range(40)))
    assert sorted(count["a"] for count in counts) == sorted(count["b"] for count in counts) == list(range(1, 41))


def test_keys_are_not_stored_in_plain_text(sql: SqlCatalog) -> None:
    sql.add_attempt(["account:anna@example.com"], HOUR_AGO)
    with sql.transaction() as tx:
        row = tx.exec_driver_sql("SELECT * FROM attempts").one()
    assert "anna" not in repr(row)

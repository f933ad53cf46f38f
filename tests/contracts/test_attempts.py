"""Contract of the port `Attempts`."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from lookalike.adapters.catalog import SqlCatalog
from tests.contracts.rows import World, one_minute_later
from tests.fakes.catalog import FakeCatalog

HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)
WINDOW = datetime(2026, 11, 28, 12, 0, 17, tzinfo=UTC)
"""Beginning of a window."""


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


def test_window_counts_from_one(attempts: FakeCatalog) -> None:
    assert [attempts.count_in_window("a", WINDOW) for _ in range(3)] == [1, 2, 3]
    assert attempts.count_in_window("b", WINDOW) == 1


def test_next_window_starts_again_and_a_slow_clock_counts_in_it(attempts: FakeCatalog) -> None:
    attempts.count_in_window("a", WINDOW)
    assert [attempts.count_in_window("a", WINDOW + timedelta(minutes=1)) for _ in range(2)] == [1, 2]
    assert attempts.count_in_window("a", WINDOW) == 3
    assert attempts.count_in_window("a", WINDOW + timedelta(minutes=1)) == 4
    assert attempts.count_in_window("a", WINDOW + timedelta(hours=1)) == 1


def test_windows_are_deleted_with_expired_attempts(attempts: FakeCatalog) -> None:
    attempts.count_in_window("a", WINDOW)
    assert attempts.delete_expired_attempts(WINDOW) == 0
    assert attempts.delete_expired_attempts(WINDOW + timedelta(seconds=1)) == 1
    assert attempts.count_in_window("a", WINDOW) == 1


def test_concurrent_requests_of_several_instances_are_all_counted(world: World) -> None:
    instances = [world.open_another() for _ in range(4)]

    def count(number: int) -> int:
        instance: FakeCatalog = instances[number % 4]  # type: ignore[assignment]
        return instance.count_in_window("a", WINDOW)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(count, range(60))) == list(range(1, 61))


def test_a_request_is_counted_in_one_statement(sql: SqlCatalog) -> None:
    statements: list[str] = []
    event.listen(sql.engine, "before_cursor_execute", lambda *event: statements.append(event[2]))
    for _ in range(2):
        statements.clear()
        sql.count_in_window("a", WINDOW)
        assert [text.split()[0] for text in statements if text.split()[0] not in ("BEGIN", "SET")] == ["INSERT"]

"""Contract of the port `ApiKeyStore`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lookalike.adapters.catalog import SqlCatalog
from lookalike.domain.api_keys import ApiKey, KeyRole, KeyUse, key_signature
from lookalike.domain.errors import Conflict, InvalidField
from tests.contracts.rows import World
from tests.fakes.catalog import FakeCatalog

START = datetime(2026, 11, 28, 12, tzinfo=UTC)
FILTER = '{"brand": ["Ost", "M\\u00e4rz\'\\""], "rating": {"min": 4.5}, "score": 1e-07}'


@pytest.fixture
def store(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements this port."""
    return world.catalog  # type: ignore[return-value]


def api_key(key_id: str = "ab" * 6, minute: int = 0, **fields: Any) -> ApiKey:
    key = ApiKey(
        id=key_id,
        name="shop März 👗",
        role=KeyRole.SEARCH,
        secret_sha256="cd" * 32,
        filter_json=FILTER,
        requests_per_minute=600,
        requests_per_address=30,
        origins=("https://shop.example", "http://localhost:3000"),
        created=START + timedelta(minutes=minute),
        expires=START + timedelta(days=30),
    )
    key = replace(key, **fields)
    return replace(key, signature=key_signature(key, b"key"))


@pytest.mark.parametrize("fields", [{}, {"expires": None, "origins": (), "filter_json": "{}", "role": KeyRole.ADMIN}])
def test_key_is_returned_as_it_was_stored(store: FakeCatalog, fields: dict[str, Any]) -> None:
    key = api_key(**fields)
    store.add_api_key(key)
    found = store.api_key(key.id)
    assert found == key and key_signature(found, b"key") == key.signature


@pytest.mark.parametrize("key_id", ["", "ba" * 6, "AB" * 6, "ab" * 6 + " ", "x" * 300, "\0", "\ud800", "' OR 1=1 --"])
def test_unknown_key_is_none(store: FakeCatalog, key_id: str) -> None:
    store.add_api_key(api_key())
    assert store.api_key(key_id) is None and store.revoke_api_key(key_id, START) is None
    store.record_key_uses([KeyUse(key_id, START)])
    assert store.list_api_keys() == [api_key()]


def test_id_is_stored_once(store: FakeCatalog) -> None:
    store.add_api_key(api_key())
    with pytest.raises(Conflict):
        store.add_api_key(api_key(name="other"))
    assert [key.name for key in store.list_api_keys()] == ["shop März 👗"]


def test_text_that_does_not_fit_is_refused(store: FakeCatalog) -> None:
    invalid: list[dict[str, Any]] = [{"name": "x" * 256}, {"name": "\ud800"}, {"filter_json": "x" * 20_000}]
    for fields in invalid:
        with pytest.raises(InvalidField):
            store.add_api_key(api_key(**fields))
    assert store.list_api_keys() == []


def test_keys_are_listed_newest_first(store: FakeCatalog) -> None:
    keys = [api_key("cc", 1), api_key("bb", 3), api_key("dd", 2), api_key("aa", 3)]
    for key in keys:
        store.add_api_key(key)
    assert [key.id for key in store.list_api_keys()] == ["aa", "bb", "dd", "cc"]


def test_revoked_key_keeps_the_time_of_its_revocation(store: FakeCatalog) -> None:
    store.add_api_key(api_key())
    store.add_api_key(api_key("other"))
    first = store.revoke_api_key(api_key().id, START)
    assert first == replace(api_key(), revoked=START)
    assert store.revoke_api_key(api_key().id, START + timedelta(days=1)) == first == store.api_key(first.id)
    assert store.api_key("other") == api_key("other")


def test_last_use_only_moves_forward(store: FakeCatalog) -> None:
    for key_id in ("one", "two", "three"):
        store.add_api_key(api_key(key_id))
    later = START + timedelta(minutes=1)
    store.record_key_uses([KeyUse("one", later), KeyUse("two", START), KeyUse("one", START), KeyUse("two", later)])
    store.record_key_uses([KeyUse("one", START)])
    assert {key.id: key.last_used for key in store.list_api_keys()} == {"one": later, "two": later, "three": None}


def test_another_process_sees_the_key(world: World, store: FakeCatalog) -> None:
    store.add_api_key(api_key())
    other: FakeCatalog = world.open_another()  # type: ignore[assignment]
    other.revoke_api_key(api_key().id, START)
    found = store.api_key(api_key().id)
    assert found and found.revoked == START


def test_columns_do_not_change_text(sql: SqlCatalog) -> None:
    sql.add_api_key(api_key())
    with sql.transaction() as tx:
        assert tx.exec_driver_sql("SELECT filter FROM api_keys").scalar_one() == FILTER

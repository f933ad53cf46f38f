"""API keys: creation, verification and last use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lookalike.domain.api_keys import ApiKey, KeyRole, create_key_text
from lookalike.domain.errors import Forbidden, InvalidField, NotFound, Unauthenticated, Unavailable
from lookalike.domain.model import Caller
from lookalike.usecases.api_keys import ApiKeys, KeyRequest
from lookalike.usecases.deferred_writes import DeferredWrites
from tests.fakes.catalog import FakeCatalog

SIGNING_KEY = b"s" * 32


class KeysHarness:
    """API keys in a fake catalog, with a clock that can be advanced by `elapsed`."""

    def __init__(self, is_deferred: bool = False) -> None:
        self.store, self.elapsed = FakeCatalog(), timedelta()
        self.keys = ApiKeys(self.store, SIGNING_KEY, self.clock, DeferredWrites(is_deferred))

    def clock(self) -> datetime:
        return datetime(2026, 11, 28, 12, tzinfo=UTC) + self.elapsed

    def change(self, key: ApiKey, **fields: object) -> None:
        """Change a stored key as someone with access to the database would."""
        self.store._api_keys[key.id] = replace(key, **fields)  # type: ignore[arg-type]


@pytest.fixture
def harness() -> KeysHarness:
    return KeysHarness()


def test_created_key_is_verified_and_its_secret_not_stored(harness: KeysHarness) -> None:
    key, text = harness.keys.create(KeyRequest(name="shop", filter={"brand": "Ost"}, requests_per_minute=60))
    assert harness.keys.verify(text, "").id == key.id and key.filter_json == '{"brand": "Ost"}'
    assert text.split("_")[2] not in repr(harness.store.api_key(key.id))


def test_keys_create_no_keys_of_administrators(harness: KeysHarness) -> None:
    """Otherwise a copied key could be replaced before it is revoked."""
    admin, wanted = Caller("anna", is_admin=True), KeyRequest(KeyRole.ADMIN)
    key, _ = harness.keys.create(wanted, admin)
    by_key = Caller(is_admin=True, key=key)
    with pytest.raises(Forbidden, match="sign in as an administrator"):
        harness.keys.create(wanted, by_key)
    harness.keys.create(KeyRequest(), by_key)
    assert [one.role for one in harness.keys.list_keys()].count(KeyRole.ADMIN) == 1


def test_forged_key_is_refused_without_reading_the_database(harness: KeysHarness) -> None:
    harness.store.is_unavailable = True
    for forged in ("lk_", "lk_" + "0" * 86, create_key_text(b"t" * 32), "", "\ud800"):
        with pytest.raises(Unauthenticated, match="not valid"):
            harness.keys.verify(forged, "")
    with pytest.raises(Unavailable):
        harness.keys.verify(create_key_text(SIGNING_KEY), "")


def test_signed_key_that_is_not_stored_is_refused(harness: KeysHarness) -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        harness.keys.verify(create_key_text(SIGNING_KEY), "")


def test_expired_key_is_refused(harness: KeysHarness) -> None:
    _, text = harness.keys.create(KeyRequest(lifetime=timedelta(days=30)))
    harness.elapsed = timedelta(days=30, seconds=-1)
    harness.keys.verify(text, "")
    harness.elapsed = timedelta(days=30)
    with pytest.raises(Unauthenticated, match="expired on 2026-12-28"):
        harness.keys.verify(text, "")


def test_revoked_key_is_refused_at_once(harness: KeysHarness) -> None:
    key, text = harness.keys.create(KeyRequest())
    assert harness.keys.revoke(key.id).revoked == harness.clock()
    with pytest.raises(Unauthenticated, match="revoked"):
        harness.keys.verify(text, "")
    with pytest.raises(NotFound, match="keys list"):
        harness.keys.revoke("unknown")


@pytest.mark.parametrize(
    "fields",
    [{"role": KeyRole.ADMIN}, {"filter_json": "{}"}, {"requests_per_minute": 0}, {"expires": None}, {"signature": ""}],
    ids=lambda fields: ",".join(fields),
)
def test_key_that_was_changed_in_the_database_is_refused(
    harness: KeysHarness, fields: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    request = KeyRequest(filter={"brand": "Ost"}, requests_per_minute=60, lifetime=timedelta(days=1))
    key, text = harness.keys.create(request)
    harness.change(key, **fields)
    with pytest.raises(Unauthenticated, match="not valid"):
        harness.keys.verify(text, "")
    assert "changed in the database" in caplog.text


def test_secret_of_another_key_is_refused(harness: KeysHarness) -> None:
    key, _ = harness.keys.create(KeyRequest())
    other, text = harness.keys.create(KeyRequest())
    harness.change(other, secret_sha256=key.secret_sha256)
    with pytest.raises(Unauthenticated):
        harness.keys.verify(text, "")


def test_pages_of_other_origins_may_not_use_the_key(harness: KeysHarness) -> None:
    _, text = harness.keys.create(KeyRequest(origins=["https://shop.example", "https://other.example:8080"]))
    for allowed in ("https://shop.example", "https://other.example:8080", ""):
        harness.keys.verify(text, allowed)
    for refused in ("https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null"):
        with pytest.raises(Forbidden, match="origin"):
            harness.keys.verify(text, refused)


@pytest.mark.parametrize("is_deferred", [False, True])
def test_last_use_is_recorded_once_a_minute(is_deferred: bool) -> None:
    harness = KeysHarness(is_deferred)
    key, text = harness.keys.create(KeyRequest())
    assert key.last_used is None
    uses = []
    for seconds in (0, 59, 60, 61):
        harness.elapsed = timedelta(seconds=seconds)
        harness.keys.verify(text, "")
        (listed,) = harness.keys.list_keys()
        assert listed.last_used is not None
        uses.append((listed.last_used - key.created).total_seconds())
    assert uses == [0, 0, 60, 60]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (KeyRequest(requests_per_minute=-1), "per_minute"),
        (KeyRequest(requests_per_address=10**7), "per_address"),
        (KeyRequest(lifetime=timedelta()), "expires"),
        (KeyRequest(KeyRole.ADMIN, filter={"brand": "Ost"}), "role"),
        (KeyRequest(KeyRole.ADMIN, origins=["https://shop.example"]), "role"),
        (KeyRequest(origins=["shop.example"]), "origins"),
        (KeyRequest(origins=["https://shop.example/"]), "origins"),
        (KeyRequest(origins=["https://shop.example", "https://a b"]), "origins"),
        (KeyRequest(name="x" * 201), "name"),
        (KeyRequest(filter={"brand": ["x" * 100] * 100}), "filter"),
    ],
)
def test_key_that_makes_no_sense_is_refused(harness: KeysHarness, request_: KeyRequest, field: str) -> None:
    with pytest.raises(InvalidField) as caught:
        harness.keys.create(request_)
    assert caught.value.details == {"field": field} and harness.keys.list_keys() == []

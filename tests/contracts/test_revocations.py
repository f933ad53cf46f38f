"""Contract of the port `Revocations`, and of the photos of an owner."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lookalike.domain.errors import InvalidField
from lookalike.domain.ports import Catalog
from tests.contracts.rows import MODEL, World, garment, photo
from tests.fakes.catalog import FakeCatalog

NOON = datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def revocations(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements this port."""
    return world.catalog  # type: ignore[return-value]


def test_later_revocation_replaces_an_earlier_one(revocations: FakeCatalog) -> None:
    assert revocations.revocations() == {}
    for key, hours in (("aa" * 32, 0), ("bb" * 32, 1), ("aa" * 32, 2)):
        revocations.revoke_tokens(key, NOON + timedelta(hours=hours))
    assert revocations.revocations() == {"aa" * 32: NOON + timedelta(hours=2), "bb" * 32: NOON + timedelta(hours=1)}


def test_expired_revocations_are_deleted(revocations: FakeCatalog) -> None:
    for key, hours in (("aa" * 32, 0), ("bb" * 32, 1)):
        revocations.revoke_tokens(key, NOON + timedelta(hours=hours))
    assert revocations.delete_expired_revocations(NOON + timedelta(minutes=1)) == 1
    assert [*revocations.revocations()] == ["bb" * 32]


def test_key_that_is_too_long_is_rejected(revocations: FakeCatalog) -> None:
    with pytest.raises(InvalidField):
        revocations.revoke_tokens("a" * 65, NOON)


def test_photos_of_owner_are_listed_in_pages(catalog: Catalog) -> None:
    for name, owner in (("c", "anna"), ("a", "anna"), ("b", "bert"), ("d", None), ("e", "anna"), ("A", "anna")):
        catalog.add_photo(replace(photo(name), owner=owner), [garment(name)], MODEL)
    first = catalog.photos_of_owner("anna", "", 2)
    assert [owned.photo.name for owned in first] == ["A", "a"]
    assert [owned.photo.name for owned in catalog.photos_of_owner("anna", "a", 9)] == ["c", "e"]
    assert first[0].photo == catalog.photo("A") and abs(datetime.now(UTC) - first[0].created) < timedelta(minutes=1)
    assert catalog.photos_of_owner("nobody", "", 9) == catalog.photos_of_owner("\ud800", "", 9) == []

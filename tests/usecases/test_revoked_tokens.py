"""Revoked access tokens: which are refused, and how soon."""

from datetime import UTC, datetime, timedelta

import pytest

from lookalike.domain.errors import Unauthenticated, Unavailable
from lookalike.domain.model import User
from lookalike.usecases.revoked_tokens import REFRESH_SECONDS, RevokedTokens
from tests.fakes.catalog import FakeCatalog

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Instances:
    """Two instances of a service with one database, and a clock."""

    def __init__(self) -> None:
        self.catalog, self.seconds = FakeCatalog(), 0.0
        self.one, self.two = (RevokedTokens(self.catalog, lambda: NOON, lambda: self.seconds) for _ in range(2))


def issued(minutes: float, name: str = "anna") -> User:
    """Return the user of a token issued so many minutes after noon."""
    return User(name, f"{name}@example.org", issued_at=(NOON + timedelta(minutes=minutes)).timestamp())


def is_refused(tokens: RevokedTokens, user: User) -> bool:
    try:
        tokens.check(user)
    except Unauthenticated:
        return True
    return False


def test_only_earlier_tokens_of_the_user_are_refused() -> None:
    instances = Instances()
    assert not is_refused(instances.one, issued(-1))
    instances.one.revoke("anna")
    assert is_refused(instances.one, issued(-1)) and is_refused(instances.one, User("anna", "anna@example.org"))
    assert not is_refused(instances.one, issued(1)) and not is_refused(instances.one, issued(-1, "bert"))


def test_other_instances_refuse_the_token_after_some_seconds() -> None:
    instances = Instances()
    assert not is_refused(instances.two, issued(-1))
    instances.one.revoke("anna")
    assert not is_refused(instances.two, issued(-1))
    instances.seconds += REFRESH_SECONDS
    assert is_refused(instances.two, issued(-1))


def test_outage_keeps_what_is_known() -> None:
    instances = Instances()
    instances.one.revoke("anna")
    assert is_refused(instances.one, issued(-1))
    instances.catalog.is_unavailable, instances.seconds = True, 60
    assert is_refused(instances.one, issued(-1)) and not is_refused(instances.one, issued(-1, "bert"))
    with pytest.raises(Unavailable):
        instances.two.check(issued(-1))
    instances.catalog.is_unavailable = False
    assert is_refused(instances.two, issued(-1))

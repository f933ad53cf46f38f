"""Signing in, and how often it may be tried."""

from datetime import UTC, datetime, timedelta

import pytest

from lookalike.domain.errors import InvalidField, TooManyAttempts, Unauthenticated, Unavailable
from lookalike.domain.model import Session, User
from lookalike.usecases.sign_in import (
    ATTEMPT_WINDOW,
    MAX_LOGINS_PER_ACCOUNT,
    MAX_LOGINS_PER_ADDRESS,
    MAX_REFRESHES_PER_ADDRESS,
    MAX_REGISTRATIONS_PER_ADDRESS,
    SignIn,
)
from tests.fakes.catalog import FakeCatalog

ANNA, HOME, ELSEWHERE = "anna@example.com", "10.0.0.1", "10.0.0.2"


class FakeAccounts:
    """Everybody's password is `right`; counts how often it was looked at."""

    def __init__(self) -> None:
        self.looked = 0

    def register(self, email: str, password: str) -> User:
        return User(f"id of {email}", email)

    def sign_in(self, email: str, password: str) -> Session:
        self.looked += 1
        if password != "right":
            raise Unauthenticated("The address or the password is wrong")
        return Session(User(f"id of {email}", email), "access", "refresh", 3600)

    def refresh(self, refresh_token: str) -> Session:
        return self.sign_in(ANNA, "right")

    def sign_out(self, access_token: str) -> None: ...

    def set_role(self, email: str, role: str) -> User:
        raise AssertionError("an operator's act")


class World:
    def __init__(self) -> None:
        self.accounts, self.passed = FakeAccounts(), timedelta()
        self.task = SignIn(self.accounts, FakeCatalog(), lambda: datetime.now(UTC) + self.passed)

    def fails(self, email: str = ANNA, address: str = HOME) -> bool:
        """Whether the password was looked at, and wrong."""
        try:
            self.task.login(email, "wrong", address)
        except TooManyAttempts:
            return False
        except Unauthenticated:
            return True
        raise AssertionError("signed in with a wrong password")


def test_an_account_is_tried_so_often_from_anywhere_and_then_no_more() -> None:
    world = World()
    assert (
        sum(world.fails(address=f"10.0.0.{number}") for number in range(30))
        == MAX_LOGINS_PER_ACCOUNT
        == world.accounts.looked
    )
    with pytest.raises(TooManyAttempts) as caught:
        world.task.login(f" {ANNA.upper()} ", "right", ELSEWHERE)
    assert caught.value.status == 429 and caught.value.retry_after == ATTEMPT_WINDOW.total_seconds()
    assert world.task.login("bert@example.com", "right", ELSEWHERE)


def test_an_address_tries_so_many_accounts_and_then_no_more() -> None:
    world = World()
    assert sum(world.fails(f"{number}@example.com") for number in range(70)) == MAX_LOGINS_PER_ADDRESS
    assert world.fails("other@example.com", ELSEWHERE)


def test_a_network_of_ipv6_is_one_address() -> None:
    world = World()
    assert (
        sum(world.fails(f"{number}@example.com", f"2001:db8::{number:x}") for number in range(70))
        == MAX_LOGINS_PER_ADDRESS
    )
    assert world.fails("other@example.com", "2001:db8:1::1")


def test_an_address_of_ipv4_is_one_though_it_is_written_as_the_other() -> None:
    world = World()
    tried = [world.fails(f"{number}@example.com", "::ffff:10.0.0.1" if number % 2 else HOME) for number in range(70)]
    assert sum(tried) == MAX_LOGINS_PER_ADDRESS
    assert world.fails("other@example.com", "::ffff:10.0.0.2")


def test_who_knows_the_password_begins_anew_but_the_address_does_not() -> None:
    world = World()
    for _ in range(3):
        assert sum(world.fails() for _ in range(MAX_LOGINS_PER_ACCOUNT - 1)) == MAX_LOGINS_PER_ACCOUNT - 1
        world.task.login(ANNA, "right", HOME)
    assert sum(world.fails(f"{number}@example.com") for number in range(70)) == MAX_LOGINS_PER_ADDRESS - 3 * (
        MAX_LOGINS_PER_ACCOUNT - 1
    )


def test_however_many_know_their_passwords_at_one_address() -> None:
    world = World()
    for number in range(MAX_LOGINS_PER_ADDRESS + 20):
        world.task.login(f"{number}@example.com", "right", HOME)


def test_while_nobody_looks_at_passwords_no_attempt_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: FakeAccounts, email: str, password: str) -> Session:
        raise Unavailable("The sign-in service cannot be reached")

    world = World()
    with monkeypatch.context() as patch:
        patch.setattr(FakeAccounts, "sign_in", away)
        for _ in range(MAX_LOGINS_PER_ADDRESS + MAX_LOGINS_PER_ACCOUNT):
            with pytest.raises(Unavailable):
                world.task.login(ANNA, "right", HOME)
    assert world.task.login(ANNA, "right", HOME)


def test_after_a_quarter_of_an_hour_it_goes_on() -> None:
    world = World()
    while world.fails():
        pass
    world.passed = ATTEMPT_WINDOW + timedelta(seconds=1)
    assert world.task.login(ANNA, "right", HOME).user.email == ANNA


def test_an_address_refreshes_so_often() -> None:
    world = World()
    for _ in range(MAX_REFRESHES_PER_ADDRESS):
        world.task.refresh("token", HOME)
    with pytest.raises(TooManyAttempts):
        world.task.refresh("token", HOME)
    assert world.task.refresh("token", ELSEWHERE)


def test_an_address_registers_so_many() -> None:
    world = World()
    for number in range(MAX_REGISTRATIONS_PER_ADDRESS):
        world.task.register(f"{number}@example.com", "right", HOME)
    with pytest.raises(TooManyAttempts):
        world.task.register(ANNA, "right", HOME)
    assert world.task.register(f" {ANNA} ", "right", ELSEWHERE).email == ANNA


@pytest.mark.parametrize(
    "email",
    [
        "",
        "anna",
        "@example.com",
        "anna@",
        "anna@example",
        "a b@example.com",
        "a@b@c.de",
        "\ud800@b.de",
        "a" * 250 + "@b.de",
    ],
)
def test_what_is_no_address_is_not_registered(email: str) -> None:
    with pytest.raises(InvalidField) as caught:
        World().task.register(email, "right", HOME)
    assert caught.value.details["field"] == "email"


def test_a_password_may_be_long_but_not_endless() -> None:
    world = World()
    world.task.register(ANNA, "x" * 1000, HOME)
    with pytest.raises(InvalidField):
        world.task.register(ANNA, "x" * 1001, HOME)

"""Sign-in: rate limits and validation."""

from datetime import UTC, datetime, timedelta

import pytest

from lookalike.domain.account import AccountPage
from lookalike.domain.errors import InvalidField, TooManyAttempts, Unauthenticated, Unavailable
from lookalike.domain.model import Session, User
from lookalike.domain.personal_data import AccountRecord
from lookalike.usecases.sign_in import (
    ATTEMPT_WINDOW,
    MAX_LOGINS_PER_ACCOUNT,
    MAX_LOGINS_PER_ADDRESS,
    MAX_PASSWORD_LENGTH,
    MAX_REFRESHES_PER_ADDRESS,
    MAX_REGISTRATIONS_PER_ADDRESS,
    SignIn,
)
from tests.fakes.catalog import FakeCatalog

ANNA, HOME, ELSEWHERE = "anna@example.com", "10.0.0.1", "10.0.0.2"


class FakeAccounts:
    """Accepts every account with the password `right`, and counts password checks."""

    def __init__(self) -> None:
        self.checks = 0

    def register(self, email: str, password: str) -> User:
        return User(f"id of {email}", email)

    def sign_in(self, email: str, password: str) -> Session:
        self.checks += 1
        if password != "right":
            raise Unauthenticated("The email address or the password is wrong")
        return Session(User(f"id of {email}", email), "access", "refresh", 3600)

    def refresh(self, refresh_token: str) -> Session:
        return self.sign_in(ANNA, "right")

    def sign_out(self, access_token: str) -> None: ...

    def set_role(self, email: str, role: str) -> User:
        raise AssertionError("only operators set roles")

    def verify_password(self, email: str, password: str) -> User:
        return self.sign_in(email, password).user

    def account_record(self, access_token: str) -> AccountRecord | None:
        raise AssertionError("not part of a sign-in")

    def list_accounts(self, page: int, size: int) -> AccountPage:
        raise AssertionError("not part of a sign-in")

    def delete_account(self, user: str) -> bool:
        raise AssertionError("not part of a sign-in")


class SignInHarness:
    """Sign-in with fake accounts and a clock that can be advanced by `elapsed`."""

    def __init__(self) -> None:
        self.accounts, self.elapsed = FakeAccounts(), timedelta()
        self.sign_in = SignIn(self.accounts, FakeCatalog(), lambda: datetime.now(UTC) + self.elapsed)

    def guess_is_checked(self, email: str = ANNA, address: str = HOME) -> bool:
        """Try a wrong password. Returns whether it was checked, instead of being rejected by a rate limit."""
        try:
            self.sign_in.login(email, "wrong", address)
        except TooManyAttempts:
            return False
        except Unauthenticated:
            return True
        raise AssertionError("signed in with a wrong password")

    def count_checked_guesses(self, attempts: int = 70, address: str = HOME) -> int:
        """Try a wrong password once for each of several accounts. Returns how many were checked."""
        return sum(self.guess_is_checked(f"{number}@example.com", address) for number in range(attempts))


def test_login_limits_attempts_for_an_account_from_all_addresses() -> None:
    harness = SignInHarness()
    checked = sum(harness.guess_is_checked(address=f"10.0.0.{number}") for number in range(30))
    assert checked == MAX_LOGINS_PER_ACCOUNT == harness.accounts.checks
    with pytest.raises(TooManyAttempts) as caught:
        harness.sign_in.login(f" {ANNA.upper()} ", "right", ELSEWHERE)
    assert caught.value.status == 429 and caught.value.retry_after == ATTEMPT_WINDOW.total_seconds()
    assert harness.sign_in.login("bert@example.com", "right", ELSEWHERE)


def test_login_limits_attempts_from_an_address_for_all_accounts() -> None:
    harness = SignInHarness()
    assert harness.count_checked_guesses() == MAX_LOGINS_PER_ADDRESS
    assert harness.guess_is_checked("other@example.com", ELSEWHERE)


def test_login_counts_an_ipv6_network_as_one_address() -> None:
    harness = SignInHarness()
    checked = [harness.guess_is_checked(f"{number}@example.com", f"2001:db8::{number:x}") for number in range(70)]
    assert sum(checked) == MAX_LOGINS_PER_ADDRESS
    assert harness.guess_is_checked("other@example.com", "2001:db8:1::1")


def test_login_counts_both_spellings_of_an_ipv4_address_together() -> None:
    harness = SignInHarness()
    addresses = ["::ffff:10.0.0.1" if number % 2 else HOME for number in range(70)]
    checked = [harness.guess_is_checked(f"{number}@example.com", address) for number, address in enumerate(addresses)]
    assert sum(checked) == MAX_LOGINS_PER_ADDRESS
    assert harness.guess_is_checked("other@example.com", "::ffff:10.0.0.2")


def test_login_with_the_right_password_resets_the_account_but_not_the_address() -> None:
    harness = SignInHarness()
    failures = MAX_LOGINS_PER_ACCOUNT - 1
    for _ in range(3):
        assert sum(harness.guess_is_checked() for _ in range(failures)) == failures
        harness.sign_in.login(ANNA, "right", HOME)
    assert harness.count_checked_guesses() == MAX_LOGINS_PER_ADDRESS - 3 * failures


def test_successful_logins_from_one_address_are_not_limited() -> None:
    harness = SignInHarness()
    for number in range(MAX_LOGINS_PER_ADDRESS + 20):
        harness.sign_in.login(f"{number}@example.com", "right", HOME)


def test_login_does_not_count_attempts_while_accounts_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FakeAccounts, email: str, password: str) -> Session:
        raise Unavailable("The sign-in service cannot be reached")

    harness = SignInHarness()
    with monkeypatch.context() as patch:
        patch.setattr(FakeAccounts, "sign_in", fail)
        for _ in range(MAX_LOGINS_PER_ADDRESS + MAX_LOGINS_PER_ACCOUNT):
            with pytest.raises(Unavailable):
                harness.sign_in.login(ANNA, "right", HOME)
    assert harness.sign_in.login(ANNA, "right", HOME)


def test_login_is_possible_again_after_the_window() -> None:
    harness = SignInHarness()
    while harness.guess_is_checked():
        pass
    harness.elapsed = ATTEMPT_WINDOW + timedelta(seconds=1)
    assert harness.sign_in.login(ANNA, "right", HOME).user.email == ANNA


def test_refresh_limits_requests_from_an_address() -> None:
    harness = SignInHarness()
    for _ in range(MAX_REFRESHES_PER_ADDRESS):
        harness.sign_in.refresh("token", HOME)
    with pytest.raises(TooManyAttempts):
        harness.sign_in.refresh("token", HOME)
    assert harness.sign_in.refresh("token", ELSEWHERE)


def test_register_limits_requests_from_an_address() -> None:
    harness = SignInHarness()
    for number in range(MAX_REGISTRATIONS_PER_ADDRESS):
        harness.sign_in.register(f"{number}@example.com", "right", HOME)
    with pytest.raises(TooManyAttempts):
        harness.sign_in.register(ANNA, "right", HOME)
    assert harness.sign_in.register(f" {ANNA} ", "right", ELSEWHERE).email == ANNA


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
def test_register_rejects_an_invalid_email_address(email: str) -> None:
    with pytest.raises(InvalidField) as caught:
        SignInHarness().sign_in.register(email, "right", HOME)
    assert caught.value.details["field"] == "email"


def test_register_rejects_a_password_above_the_maximum_length() -> None:
    harness = SignInHarness()
    assert MAX_PASSWORD_LENGTH == 1000
    harness.sign_in.register(ANNA, "x" * MAX_PASSWORD_LENGTH, HOME)
    with pytest.raises(InvalidField):
        harness.sign_in.register(ANNA, "x" * (MAX_PASSWORD_LENGTH + 1), HOME)

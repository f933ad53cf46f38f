"""Contract of the port `Accounts`, on local accounts and on an emulator of Supabase, with verification of the tokens."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.adapters import local_accounts
from lookalike.adapters.local_accounts import LocalAccounts
from lookalike.adapters.local_auth import LocalAuth
from lookalike.adapters.supabase_accounts import SupabaseAccounts
from lookalike.adapters.supabase_auth import SupabaseAuth
from lookalike.domain.account import Account
from lookalike.domain.errors import (
    Conflict,
    InvalidField,
    LookalikeError,
    Misconfigured,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from lookalike.domain.ports import Accounts, Auth
from tests.emulators.auth_server import AuthServer, auth_server

ANNA, BERT, PASSWORD = "anna@example.com", "bert@example.com", "correct horse"


@dataclass
class World:
    """Accounts with the verification of their tokens."""

    accounts: Accounts
    auth: Auth
    open_another: Callable[[], Accounts]
    """Opens the same accounts as another process would."""
    end_reuse_interval: Callable[[], object]
    """From now on, a used refresh token is treated as stolen."""


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server() as running:
        yield running


@pytest.fixture(params=["local", "supabase"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    if request.param == "local":
        auth = LocalAuth("s" * 40)
        # The slow default parameters are covered by test_accounts_file_contains_no_secrets.
        monkeypatch.setattr(local_accounts, "PasswordHasher", lambda: FAST_HASHER)
        path = tmp_path / "accounts.db"
        end = partial(monkeypatch.setattr, local_accounts, "REUSE_SECONDS", -1)
        return World(LocalAccounts(path, auth), auth, lambda: LocalAccounts(path, auth), end)
    server: AuthServer = request.getfixturevalue("server")
    open_accounts = partial(SupabaseAccounts, server.url, server.PUBLIC, server.SERVICE)
    end = partial(setattr, server, "reuse_interval", -1)
    return World(open_accounts(), SupabaseAuth(server.url), open_accounts, end)


FAST_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def test_registered_user_can_sign_in(world: World) -> None:
    registered = world.accounts.register(ANNA, PASSWORD)
    session = world.open_another().sign_in(ANNA, PASSWORD)
    assert session.user == registered and (registered.email, registered.role) == (ANNA, "user")
    assert world.auth.verify_token(session.access_token) == registered
    assert session.expires_in == 3600 and PASSWORD not in repr(session) and session.access_token not in repr(session)


def test_register_rejects_a_taken_address_in_any_case(world: World) -> None:
    world.accounts.register(ANNA, PASSWORD)
    for same in (ANNA, "Anna@Example.com"):
        with pytest.raises(Conflict):
            world.accounts.register(same, "another password")
    assert world.accounts.sign_in("ANNA@example.com", PASSWORD).user.email == ANNA


def test_concurrent_registrations_of_one_address_create_one_account(world: World) -> None:
    def register(number: int) -> bool:
        try:
            world.open_another().register(ANNA, f"{PASSWORD} {number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(register, range(8))) == 1


def test_register_rejects_a_weak_password(world: World) -> None:
    with pytest.raises(InvalidField) as caught:
        world.accounts.register(ANNA, "12345")
    assert caught.value.details["field"] == "password" and "12345" not in caught.value.message


def test_sign_in_error_does_not_reveal_whether_an_account_exists(world: World) -> None:
    world.accounts.register(ANNA, PASSWORD)
    messages = set()
    for email, password in ((ANNA, "wrong horse"), (BERT, PASSWORD), (ANNA, "")):
        with pytest.raises(Unauthenticated) as caught:
            world.accounts.sign_in(email, password)
        messages.add(caught.value.message)
    assert len(messages) == 1


def test_refresh_returns_new_tokens(world: World) -> None:
    user = world.accounts.register(ANNA, PASSWORD)
    first = world.accounts.sign_in(ANNA, PASSWORD)
    second = world.open_another().refresh(first.refresh_token)
    assert second.user == user and second.refresh_token != first.refresh_token
    assert world.auth.verify_token(second.access_token) == user
    assert world.accounts.refresh(second.refresh_token).user == user


@pytest.mark.parametrize("token", ["", "nonsense", "\0", "\ud800", "x" * 5000])
def test_refresh_rejects_an_unknown_token(world: World, token: str) -> None:
    with pytest.raises(Unauthenticated):
        world.accounts.refresh(token)


def test_refresh_token_can_be_reused_after_a_lost_response(world: World) -> None:
    world.accounts.register(ANNA, PASSWORD)
    first = world.accounts.sign_in(ANNA, PASSWORD)
    world.accounts.refresh(first.refresh_token)
    again = world.accounts.refresh(first.refresh_token)
    assert world.accounts.refresh(again.refresh_token).user.email == ANNA


def test_reused_refresh_token_revokes_only_its_own_session(world: World) -> None:
    world.accounts.register(ANNA, PASSWORD)
    first, other_device = world.accounts.sign_in(ANNA, PASSWORD), world.accounts.sign_in(ANNA, PASSWORD)
    second = world.accounts.refresh(first.refresh_token)
    world.end_reuse_interval()
    for token in (first.refresh_token, second.refresh_token):
        with pytest.raises(Unauthenticated):
            world.accounts.refresh(token)
    assert world.accounts.refresh(other_device.refresh_token).user.email == ANNA


def test_sign_out_revokes_all_refresh_tokens_of_the_user(world: World) -> None:
    for email in (ANNA, BERT):
        world.accounts.register(email, PASSWORD)
    anna, also_anna, bert = (world.accounts.sign_in(email, PASSWORD) for email in (ANNA, ANNA, BERT))
    world.accounts.sign_out(anna.access_token)
    for session in (anna, also_anna):
        with pytest.raises(Unauthenticated):
            world.accounts.refresh(session.refresh_token)
    assert world.accounts.refresh(bert.refresh_token).user.email == BERT
    with pytest.raises(Unauthenticated):
        world.accounts.sign_out("no token")


def test_set_role_is_effective_with_the_next_tokens(world: World) -> None:
    user = world.accounts.register(ANNA, PASSWORD)
    before = world.accounts.sign_in(ANNA, PASSWORD)
    updated = world.open_another().set_role("Anna@example.com", "admin")
    assert (updated.id, updated.role) == (user.id, "admin")
    assert not world.auth.verify_token(before.access_token).is_admin
    after = world.accounts.refresh(before.refresh_token)
    assert after.user.is_admin and world.auth.verify_token(after.access_token).is_admin
    world.accounts.set_role(ANNA, "user")
    assert not world.accounts.sign_in(ANNA, PASSWORD).user.is_admin


def test_set_role_rejects_an_unknown_address(world: World) -> None:
    world.accounts.register(BERT, PASSWORD)
    with pytest.raises(NotFound):
        world.accounts.set_role(ANNA, "admin")


def test_fifty_concurrent_users_never_get_tokens_of_others(world: World) -> None:
    """All threads share one object, and refresh and sign out in between."""
    emails = [f"person-{number}@example.com" for number in range(50)]
    with ThreadPoolExecutor(10) as pool:
        user_ids = [*pool.map(lambda email: world.accounts.register(email, f"{email} secret").id, emails)]
    barrier = threading.Barrier(50)

    def use_account(email: str) -> list[tuple[str, str]]:
        barrier.wait(60)
        sessions = [world.accounts.sign_in(email, f"{email} secret")]
        sessions += [world.accounts.refresh(sessions[-1].refresh_token) for _ in range(2)]
        world.accounts.sign_out(sessions[-1].access_token)
        users = [world.auth.verify_token(session.access_token) for session in sessions]
        users += [session.user for session in sessions]
        return [(user.id, user.email) for user in users]

    with ThreadPoolExecutor(50) as pool:
        for email, user_id, users in zip(emails, user_ids, pool.map(use_account, emails), strict=True):
            assert set(users) == {(user_id, email)}


def test_verify_password_creates_no_session(world: World) -> None:
    user = world.accounts.register(ANNA, PASSWORD)
    session = world.accounts.sign_in(ANNA, PASSWORD)
    assert world.accounts.verify_password(ANNA, PASSWORD) == user
    record = world.accounts.account_record(session.access_token)
    assert record and record.sessions in (1, None)
    assert world.accounts.refresh(session.refresh_token).user == user, "other sessions are kept"
    for email, password in ((ANNA, "wrong"), (BERT, PASSWORD)):
        with pytest.raises(Unauthenticated):
            world.accounts.verify_password(email, password)


def test_account_record_has_the_fields_without_secrets(world: World) -> None:
    user = world.accounts.register(ANNA, PASSWORD)
    session = world.accounts.sign_in(ANNA, PASSWORD)
    record = world.open_another().account_record(session.access_token)
    assert record and (record.fields["id"], record.fields["email"]) == (user.id, ANNA)
    text = json.dumps(record.fields)
    assert PASSWORD not in text and "argon2" not in text and session.refresh_token not in text
    with pytest.raises(Unauthenticated):
        world.accounts.account_record("no token")


def test_accounts_are_listed_in_pages_with_role_and_last_sign_in(world: World) -> None:
    users = {email: world.accounts.register(email, PASSWORD) for email in (ANNA, BERT, "eve@example.com")}
    world.accounts.set_role(BERT, "admin")
    before = datetime.now(UTC)
    world.open_another().sign_in(ANNA, PASSWORD)
    first = world.accounts.list_accounts(1, 2)
    second = world.accounts.list_accounts(2, 2)
    assert (len(first.accounts), first.next_page, second.next_page) == (2, 2, None)
    found = {account.email: account for account in (*first.accounts, *second.accounts)}
    assert {email: account.id for email, account in found.items()} == {email: user.id for email, user in users.items()}
    assert {account.role for account in found.values() if account.email != BERT} == {"user"}
    assert found[BERT].role == "admin" and found[BERT].last_sign_in is None and found[BERT].created
    last = found[ANNA].last_sign_in
    assert last and before <= last <= datetime.now(UTC)
    assert world.accounts.list_accounts(3, 2).accounts == [] and len(world.accounts.list_accounts(1, 3).accounts) == 3
    world.accounts.delete_account(users[ANNA].id)
    assert [*world.accounts.list_accounts(1, 1).accounts] != [found[ANNA]]


def test_deleted_account_has_no_sessions_and_its_address_is_free(world: World) -> None:
    anna, bert = world.accounts.register(ANNA, PASSWORD), world.accounts.register(BERT, PASSWORD)
    session, other = world.accounts.sign_in(ANNA, PASSWORD), world.accounts.sign_in(BERT, PASSWORD)
    assert world.open_another().delete_account(anna.id)
    assert not world.accounts.delete_account(anna.id)
    with pytest.raises(Unauthenticated):
        world.accounts.refresh(session.refresh_token)
    with pytest.raises(Unauthenticated):
        world.accounts.sign_in(ANNA, PASSWORD)
    assert world.accounts.refresh(other.refresh_token).user == bert
    assert world.accounts.register(ANNA, PASSWORD).id != anna.id


def test_supabase_lists_and_deletes_accounts_only_with_the_service_key(server: AuthServer) -> None:
    accounts = SupabaseAccounts(server.url, server.PUBLIC)
    user = accounts.register(ANNA, PASSWORD)
    with pytest.raises(Misconfigured, match="SUPABASE_SERVICE_KEY"):
        accounts.delete_account(user.id)
    with pytest.raises(Misconfigured, match="lookalike users list"):
        accounts.list_accounts(1, 50)
    assert accounts.sign_in(ANNA, PASSWORD).user == user


@pytest.mark.parametrize("key", [AuthServer.PUBLIC, "sb_secret_of_another_project"])
def test_refused_service_key_is_no_fault_of_the_caller(server: AuthServer, key: str) -> None:
    accounts = SupabaseAccounts(server.url, server.PUBLIC, key)
    user = accounts.register(ANNA, PASSWORD)
    for call in (
        lambda: accounts.list_accounts(1, 50),
        lambda: accounts.delete_account(user.id),
        lambda: accounts.set_role(ANNA, "admin"),
    ):
        with pytest.raises(Misconfigured, match="refuses the SUPABASE_SERVICE_KEY"):
            call()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(email=st.text(), password=st.text(max_size=200))
def test_any_text_is_accepted_or_rejected_with_a_client_error(world: World, email: str, password: str) -> None:
    for call in (world.accounts.register, world.accounts.sign_in):
        try:
            call(email, password)
        except LookalikeError as error:
            assert error.status in (401, 409, 422)


def test_unreachable_service_is_unavailable(server: AuthServer) -> None:
    accounts = SupabaseAccounts(server.url, server.PUBLIC, server.SERVICE)
    accounts.register(ANNA, PASSWORD)
    calls = (
        lambda: accounts.sign_in(ANNA, PASSWORD),
        lambda: accounts.refresh("token"),
        lambda: accounts.set_role(ANNA, "admin"),
        lambda: accounts.register(BERT, PASSWORD),
        lambda: accounts.list_accounts(1, 50),
    )
    for fault in ("is_unavailable", "returns_html"):
        setattr(server, fault, True)
        for call in calls:
            with pytest.raises(Unavailable):
                call()
        setattr(server, fault, False)
    assert accounts.sign_in(ANNA, PASSWORD).user.email == ANNA
    unreachable = SupabaseAccounts("http://127.0.0.1:9", server.PUBLIC)
    with pytest.raises(Unavailable):
        unreachable.sign_in(ANNA, PASSWORD)


def test_required_confirmation_prevents_sign_in_and_taken_addresses_conflict(server: AuthServer) -> None:
    server.requires_confirmation = True
    accounts = SupabaseAccounts(server.url, server.PUBLIC, server.SERVICE)
    assert accounts.register(ANNA, PASSWORD).email == ANNA
    with pytest.raises(Conflict):
        accounts.register(ANNA, PASSWORD)
    with pytest.raises(Unauthenticated, match="Confirm the email address"):
        accounts.sign_in(ANNA, PASSWORD)


def test_set_role_finds_users_on_all_pages(server: AuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.adapters.supabase_accounts.PAGE_SIZE", 2)
    accounts = SupabaseAccounts(server.url, server.PUBLIC, server.SERVICE)
    for number in range(5):
        accounts.register(f"{number}@example.com", PASSWORD)
    assert accounts.set_role("4@example.com", "admin").is_admin
    assert server.accounts["4@example.com"].app_metadata["provider"] == "email", "other metadata is kept"


class TestLocalRefreshTokens:
    """Validity of local refresh tokens."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """A clock whose current time is the last value."""
        moments = [time.time()]
        monkeypatch.setattr("lookalike.adapters.local_accounts.time.time", lambda: moments[-1])
        return moments

    @pytest.fixture
    def accounts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAccounts:
        monkeypatch.setattr(local_accounts, "PasswordHasher", lambda: FAST_HASHER)
        accounts = LocalAccounts(tmp_path / "accounts.db", LocalAuth("s" * 40))
        accounts.register(ANNA, PASSWORD)
        return accounts

    def test_repeated_reuse_does_not_prolong_the_reuse_interval(
        self, accounts: LocalAccounts, clock: list[float]
    ) -> None:
        session = accounts.sign_in(ANNA, PASSWORD)
        for _ in range(2):
            accounts.refresh(session.refresh_token)
            clock.append(clock[-1] + 0.6 * local_accounts.REUSE_SECONDS)
        with pytest.raises(Unauthenticated, match="used before"):
            accounts.refresh(session.refresh_token)

    def test_expired_refresh_token_is_rejected_and_deleted(
        self, accounts: LocalAccounts, clock: list[float], tmp_path: Path
    ) -> None:
        old = accounts.sign_in(ANNA, PASSWORD)
        clock.append(clock[-1] + local_accounts.REFRESH_TOKEN_SECONDS + 1)
        with pytest.raises(Unauthenticated, match="unknown or has expired"):
            accounts.refresh(old.refresh_token)
        accounts.sign_in(ANNA, PASSWORD)
        with closing(sqlite3.connect(tmp_path / "accounts.db")) as db:
            assert db.execute("SELECT count(*) FROM refresh_tokens").fetchone() == (1,)


def test_accounts_file_contains_no_secrets(tmp_path: Path) -> None:
    path = tmp_path / "home" / "accounts.db"
    accounts = LocalAccounts(path, LocalAuth("s" * 40))
    accounts.register(ANNA, PASSWORD)
    session = accounts.sign_in(ANNA, PASSWORD)
    content = path.read_bytes()
    assert b"$argon2id$" in content and path.stat().st_mode & 0o077 == 0
    assert PASSWORD.encode() not in content and session.refresh_token.encode() not in content


def test_accounts_of_a_version_without_times_are_listed(tmp_path: Path) -> None:
    """That version inserts accounts without naming the columns, also into the file of this version."""
    accounts = LocalAccounts(tmp_path / "accounts.db", LocalAuth("s" * 40))
    with closing(sqlite3.connect(tmp_path / "accounts.db")) as db:
        db.execute("CREATE TABLE accounts (id TEXT PRIMARY KEY, email TEXT UNIQUE, password TEXT, role TEXT)")
        db.execute("INSERT INTO accounts VALUES ('1', 'old@example.com', 'x', 'user')")
        db.commit()
    assert accounts.list_accounts(1, 9).accounts == [Account("1", "old@example.com", "user")]
    with closing(sqlite3.connect(tmp_path / "accounts.db")) as db:
        db.execute("INSERT INTO accounts VALUES ('2', 'z@example.com', 'x', 'user')")
        db.commit()
    assert len(accounts.list_accounts(1, 9).accounts) == 2

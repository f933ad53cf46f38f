"""The contract of the port `Accounts`, on accounts of this machine and on those of a stand-in for Supabase, with its tokens verified."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
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
from lookalike.domain.errors import Conflict, InvalidField, LookalikeError, NotFound, Unauthenticated, Unavailable
from lookalike.domain.ports import Accounts, Auth
from tests.emulators.auth_server import AuthServer, auth_server

ANNA, BERT, PASSWORD = "anna@example.com", "bert@example.com", "correct horse"


@dataclass
class World:
    accounts: Accounts
    auth: Auth
    open_another: Callable[[], Accounts]
    """As another process has it."""
    end_of_grace: Callable[[], object]
    """From now on a used refresh token is a stolen one."""


@pytest.fixture
def server() -> Iterator[AuthServer]:
    with auth_server() as running:
        yield running


@pytest.fixture(params=["local", "supabase"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    if request.param == "local":
        auth = LocalAuth("s" * 40)
        # as quick as argon2 can be: there is a test of its own for what is stored
        monkeypatch.setattr(local_accounts, "PasswordHasher", lambda: QUICK)
        path = tmp_path / "accounts.db"
        end = partial(monkeypatch.setattr, local_accounts, "AGAIN", -1)
        return World(LocalAccounts(path, auth), auth, lambda: LocalAccounts(path, auth), end)
    server: AuthServer = request.getfixturevalue("server")
    made = partial(SupabaseAccounts, server.url, server.PUBLIC, server.SERVICE)
    return World(made(), SupabaseAuth(server.url), made, lambda: setattr(server, "again", -1))


QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def test_who_registers_can_sign_in_and_is_a_user(world: World) -> None:
    registered = world.accounts.register(ANNA, PASSWORD)
    session = world.open_another().sign_in(ANNA, PASSWORD)
    assert session.user == registered and (registered.email, registered.role) == (ANNA, "user")
    assert world.auth.verify_token(session.access_token) == registered
    assert session.expires_in == 3600 and PASSWORD not in repr(session) and session.access_token not in repr(session)


def test_an_address_is_taken_once_in_any_case(world: World) -> None:
    world.accounts.register(ANNA, PASSWORD)
    for same in (ANNA, "Anna@Example.com"):
        with pytest.raises(Conflict):
            world.accounts.register(same, "another password")
    assert world.accounts.sign_in("ANNA@example.com", PASSWORD).user.email == ANNA


def test_of_many_who_register_one_address_at_once_one_does(world: World) -> None:
    def register(number: int) -> bool:
        try:
            world.open_another().register(ANNA, f"{PASSWORD} {number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(register, range(8))) == 1


def test_a_weak_password_is_refused_by_its_field(world: World) -> None:
    with pytest.raises(InvalidField) as caught:
        world.accounts.register(ANNA, "12345")
    assert caught.value.details["field"] == "password" and "12345" not in caught.value.message


def test_a_wrong_password_and_an_unknown_address_look_the_same(world: World) -> None:
    world.accounts.register(ANNA, PASSWORD)
    said = set()
    for email, password in ((ANNA, "wrong horse"), (BERT, PASSWORD), (ANNA, "")):
        with pytest.raises(Unauthenticated) as caught:
            world.accounts.sign_in(email, password)
        said.add(caught.value.message)
    assert len(said) == 1


def test_a_refresh_token_gives_another_pair(world: World) -> None:
    user = world.accounts.register(ANNA, PASSWORD)
    first = world.accounts.sign_in(ANNA, PASSWORD)
    second = world.open_another().refresh(first.refresh_token)
    assert second.user == user and second.refresh_token != first.refresh_token
    assert world.auth.verify_token(second.access_token) == user
    assert world.accounts.refresh(second.refresh_token).user == user


@pytest.mark.parametrize("token", ["", "nonsense", "\0", "\ud800", "x" * 5000])
def test_an_unknown_refresh_token_is_refused(world: World, token: str) -> None:
    with pytest.raises(Unauthenticated):
        world.accounts.refresh(token)


def test_an_answer_that_was_lost_costs_no_session(world: World) -> None:
    world.accounts.register(ANNA, PASSWORD)
    first = world.accounts.sign_in(ANNA, PASSWORD)
    world.accounts.refresh(first.refresh_token)
    again = world.accounts.refresh(first.refresh_token)
    assert world.accounts.refresh(again.refresh_token).user.email == ANNA


def test_a_stolen_refresh_token_ends_what_followed_from_it_alone(world: World) -> None:
    world.accounts.register(ANNA, PASSWORD)
    first, elsewhere = world.accounts.sign_in(ANNA, PASSWORD), world.accounts.sign_in(ANNA, PASSWORD)
    second = world.accounts.refresh(first.refresh_token)
    world.end_of_grace()
    for token in (first.refresh_token, second.refresh_token):
        with pytest.raises(Unauthenticated):
            world.accounts.refresh(token)
    assert world.accounts.refresh(elsewhere.refresh_token).user.email == ANNA


def test_signed_out_no_refresh_token_is_taken(world: World) -> None:
    for email in (ANNA, BERT):
        world.accounts.register(email, PASSWORD)
    anna, also_anna, bert = (world.accounts.sign_in(email, PASSWORD) for email in (ANNA, ANNA, BERT))
    world.accounts.sign_out(anna.access_token)
    for one in (anna, also_anna):
        with pytest.raises(Unauthenticated):
            world.accounts.refresh(one.refresh_token)
    assert world.accounts.refresh(bert.refresh_token).user.email == BERT
    with pytest.raises(Unauthenticated):
        world.accounts.sign_out("no token")


def test_a_granted_role_comes_with_the_next_tokens(world: World) -> None:
    user = world.accounts.register(ANNA, PASSWORD)
    before = world.accounts.sign_in(ANNA, PASSWORD)
    granted = world.open_another().set_role("Anna@example.com", "admin")
    assert (granted.id, granted.role) == (user.id, "admin")
    assert not world.auth.verify_token(before.access_token).is_admin
    after = world.accounts.refresh(before.refresh_token)
    assert after.user.is_admin and world.auth.verify_token(after.access_token).is_admin
    world.accounts.set_role(ANNA, "user")
    assert not world.accounts.sign_in(ANNA, PASSWORD).user.is_admin


def test_nobody_who_is_not_there_gets_a_role(world: World) -> None:
    world.accounts.register(BERT, PASSWORD)
    with pytest.raises(NotFound):
        world.accounts.set_role(ANNA, "admin")


def test_fifty_interleaved_logins_cross_no_token(world: World) -> None:
    """Each with its own thread, all on one object, refreshing and signing out in between."""
    people = [f"person-{number}@example.com" for number in range(50)]
    with ThreadPoolExecutor(10) as pool:
        ids = dict(
            zip(people, pool.map(lambda one: world.accounts.register(one, f"{one} secret").id, people), strict=True)
        )
    together = threading.Barrier(50)

    def live(email: str) -> list[tuple[str, str]]:
        together.wait(60)
        sessions = [world.accounts.sign_in(email, f"{email} secret")]
        sessions += [world.accounts.refresh(sessions[-1].refresh_token) for _ in range(2)]
        world.accounts.sign_out(sessions[-1].access_token)
        seen = [world.auth.verify_token(one.access_token) for one in sessions]
        return [(one.id, one.email) for one in (*seen, *(one.user for one in sessions))]

    with ThreadPoolExecutor(50) as pool:
        for email, seen in zip(people, pool.map(live, people), strict=True):
            assert set(seen) == {(ids[email], email)}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(email=st.text(), password=st.text(max_size=200))
def test_whatever_is_written_is_answered_or_refused(world: World, email: str, password: str) -> None:
    for call in (world.accounts.register, world.accounts.sign_in):
        try:
            call(email, password)
        except LookalikeError as error:
            assert error.status in (401, 409, 422)


def test_the_service_away_is_said(server: AuthServer) -> None:
    accounts = SupabaseAccounts(server.url, server.PUBLIC, server.SERVICE)
    accounts.register(ANNA, PASSWORD)
    calls = (
        lambda: accounts.sign_in(ANNA, PASSWORD),
        lambda: accounts.refresh("token"),
        lambda: accounts.set_role(ANNA, "admin"),
        lambda: accounts.register(BERT, PASSWORD),
    )
    for name in ("away", "garbles"):
        setattr(server, name, True)
        for call in calls:
            with pytest.raises(Unavailable):
                call()
        setattr(server, name, False)
    assert accounts.sign_in(ANNA, PASSWORD).user.email == ANNA
    nobody = SupabaseAccounts("http://127.0.0.1:9", server.PUBLIC)
    with pytest.raises(Unavailable):
        nobody.sign_in(ANNA, PASSWORD)


def test_where_addresses_are_confirmed_a_taken_one_is_told_and_nobody_signs_in_before(server: AuthServer) -> None:
    server.requires_confirmation = True
    accounts = SupabaseAccounts(server.url, server.PUBLIC, server.SERVICE)
    assert accounts.register(ANNA, PASSWORD).email == ANNA
    with pytest.raises(Conflict):
        accounts.register(ANNA, PASSWORD)
    with pytest.raises(Unauthenticated, match="Confirm the address"):
        accounts.sign_in(ANNA, PASSWORD)


def test_a_role_is_looked_for_among_all_users(server: AuthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.adapters.supabase_accounts.PAGE", 2)
    accounts = SupabaseAccounts(server.url, server.PUBLIC, server.SERVICE)
    for number in range(5):
        accounts.register(f"{number}@example.com", PASSWORD)
    assert accounts.set_role("4@example.com", "admin").is_admin
    assert server.accounts["4@example.com"].app_metadata["provider"] == "email", "what is there besides stays"


class TestTime:
    """Refresh tokens of this machine, and how long they are good."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The last is now."""
        moments = [time.time()]
        monkeypatch.setattr("lookalike.adapters.local_accounts.time.time", lambda: moments[-1])
        return moments

    @pytest.fixture
    def accounts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAccounts:
        monkeypatch.setattr(local_accounts, "PasswordHasher", lambda: QUICK)
        accounts = LocalAccounts(tmp_path / "accounts.db", LocalAuth("s" * 40))
        accounts.register(ANNA, PASSWORD)
        return accounts

    def test_however_often_a_used_one_comes_again_its_grace_is_the_first_uses(
        self, accounts: LocalAccounts, clock: list[float]
    ) -> None:
        session = accounts.sign_in(ANNA, PASSWORD)
        for _ in range(2):
            accounts.refresh(session.refresh_token)
            clock.append(clock[-1] + 0.6 * local_accounts.REUSE_SECONDS)
        with pytest.raises(Unauthenticated, match="used before"):
            accounts.refresh(session.refresh_token)

    def test_after_a_month_it_is_no_longer_good_and_no_longer_kept(
        self, accounts: LocalAccounts, clock: list[float], tmp_path: Path
    ) -> None:
        old = accounts.sign_in(ANNA, PASSWORD)
        clock.append(clock[-1] + local_accounts.REFRESH_TOKEN_SECONDS + 1)
        with pytest.raises(Unauthenticated, match="not known"):
            accounts.refresh(old.refresh_token)
        accounts.sign_in(ANNA, PASSWORD)
        with closing(sqlite3.connect(tmp_path / "accounts.db")) as db:
            assert db.execute("SELECT count(*) FROM refresh_tokens").fetchone() == (1,)


def test_what_is_kept_on_this_machine_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "home" / "accounts.db"
    accounts = LocalAccounts(path, LocalAuth("s" * 40))
    accounts.register(ANNA, PASSWORD)
    session = accounts.sign_in(ANNA, PASSWORD)
    kept = path.read_bytes()
    assert b"$argon2id$" in kept and path.stat().st_mode & 0o077 == 0
    assert PASSWORD.encode() not in kept and session.refresh_token.encode() not in kept

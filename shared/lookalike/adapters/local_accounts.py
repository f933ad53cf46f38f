"""Local user accounts in a SQLite file, with Argon2 password hashes and rotating refresh tokens."""

import hashlib
import secrets
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from lookalike.domain.account import Account, AccountPage
from lookalike.domain.errors import Conflict, InvalidField, NotFound, Unauthenticated, Unavailable
from lookalike.domain.model import Session, User
from lookalike.domain.personal_data import AccountRecord
from lookalike.domain.ports import Auth

ACCESS_TOKEN_SECONDS, REFRESH_TOKEN_SECONDS = 3600, 30 * 86_400
MIN_PASSWORD_LENGTH = 8
REUSE_SECONDS = 10
"""Time in which a used refresh token is still accepted: the response may be lost, or two browser tabs use one token."""
MAX_PARALLEL_HASHES = 2
"""Argon2 computations at a time; each takes 64 MiB."""
UNAUTHENTICATED_MESSAGE = "The email address or the password is wrong"
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, password TEXT NOT NULL, role TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refresh_tokens (
    digest TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, family TEXT NOT NULL, made REAL NOT NULL, used REAL);
CREATE TABLE IF NOT EXISTS account_times (account TEXT PRIMARY KEY, created REAL, last_sign_in REAL);
CREATE INDEX IF NOT EXISTS ix_refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX IF NOT EXISTS ix_refresh_tokens_account ON refresh_tokens (account);
"""
"""`family`: all refresh tokens that follow from one sign-in. `used`: time of the first use, or NULL.

`account_times` is a table of its own, because earlier versions insert rows into `accounts` without naming columns.
"""
SELECT_ACCOUNTS = (
    "SELECT id, email, role, created, last_sign_in FROM accounts LEFT JOIN account_times ON account_times.account = id"
)


class TokenIssuer(Auth, Protocol):
    """Issues access tokens and verifies them."""

    def issue(self, user: User, expires_in: int) -> str:
        """Return an access token for the user, valid for `expires_in` seconds."""
        ...


class LocalAccounts:
    """Local implementation of the port `Accounts`, safe for concurrent threads and processes."""

    def __init__(self, path: Path, auth: TokenIssuer) -> None:
        self._path, self._auth = path, auth
        self._hasher, self._hash_slots = PasswordHasher(), threading.Semaphore(MAX_PARALLEL_HASHES)
        self._dummy_hash = self._hash(secrets.token_hex())

    def register(self, email: str, password: str) -> User:
        """Create an account. Raises `InvalidField` for a short password, `Conflict` if the email address is taken."""
        if len(password) < MIN_PASSWORD_LENGTH:
            raise InvalidField(f"password must have at least {MIN_PASSWORD_LENGTH} characters", field="password")
        user, password_hash = User(str(uuid.uuid4()), _normalize_email(email)), self._hash(password)
        with self._transaction() as db:
            try:
                db.execute("INSERT INTO accounts VALUES (?, ?, ?, ?)", (user.id, user.email, password_hash, user.role))
            except sqlite3.IntegrityError as error:
                raise Conflict("An account with this email address exists already: sign in instead") from error
            db.execute("INSERT INTO account_times (account, created) VALUES (?, ?)", (user.id, time.time()))
        return user

    def sign_in(self, email: str, password: str) -> Session:
        """Return a new session. Raises `Unauthenticated`, the same for a wrong password and an unknown address."""
        user = self.verify_password(email, password)
        with self._transaction() as db:
            if _select_account(db, user.email) is None:
                # deleted while the password was verified
                raise Unauthenticated(UNAUTHENTICATED_MESSAGE)
            db.execute(
                "INSERT INTO account_times (account, last_sign_in) VALUES (?, ?)"
                " ON CONFLICT (account) DO UPDATE SET last_sign_in = excluded.last_sign_in",
                (user.id, time.time()),
            )
            return self._new_session(db, user, secrets.token_hex(16))

    def verify_password(self, email: str, password: str) -> User:
        """Return the user with this password. Raises `Unauthenticated` as `sign_in`."""
        with self._transaction() as db:
            account = _select_account(db, email)
        # Verify a dummy hash for an unknown address: the response time must not reveal whether an account exists.
        is_correct = self._verify(account["password"] if account else self._dummy_hash, password)
        if account is None or not is_correct:
            raise Unauthenticated(UNAUTHENTICATED_MESSAGE)
        return _to_user(account)

    def refresh(self, refresh_token: str) -> Session:
        """Exchange a refresh token for a new session. Raises `Unauthenticated`.

        A token that is used again after `REUSE_SECONDS` was probably stolen. It revokes all tokens of its family.
        """
        is_reused = False
        with self._transaction() as db:
            query = "SELECT * FROM refresh_tokens WHERE digest = ?"
            token = db.execute(query, (_token_digest(refresh_token),)).fetchone()
            now = time.time()
            if token and token["made"] > now - REFRESH_TOKEN_SECONDS:
                is_reused = token["used"] is not None and token["used"] < now - REUSE_SECONDS
                if not is_reused:
                    return self._next_session(db, token, now)
                # The thief and the owner cannot be distinguished, so both must sign in again.
                db.execute("DELETE FROM refresh_tokens WHERE family = ?", (token["family"],))
        # Raised after the transaction, which an exception inside would roll back together with the DELETE.
        raise Unauthenticated(
            "The refresh token was used before: sign in again"
            if is_reused
            else "The refresh token is unknown or has expired: sign in again"
        )

    def sign_out(self, access_token: str) -> None:
        """Revoke all refresh tokens of the user. Access tokens stay valid until they expire."""
        user = self._auth.verify_token(access_token)
        with self._transaction() as db:
            db.execute("DELETE FROM refresh_tokens WHERE account = ?", (user.id,))

    def set_role(self, email: str, role: str) -> User:
        """Set the role of an account, effective with the next token. Raises `NotFound`."""
        with self._transaction() as db:
            db.execute("UPDATE accounts SET role = ? WHERE email = ?", (role, _normalize_email(email)))
            account = _select_account(db, email)
        if account is None:
            raise NotFound(f"No account has the email address {email}")
        return _to_user(account)

    def account_record(self, access_token: str) -> AccountRecord | None:
        """Return what is kept of the token's account, except secrets. `None` if it does not exist."""
        user = self._auth.verify_token(access_token)
        with self._transaction() as db:
            account = db.execute(f"{SELECT_ACCOUNTS} WHERE id = ?", (user.id,)).fetchone()
            query = "SELECT count(*) FROM refresh_tokens WHERE account = ? AND used IS NULL AND made > ?"
            count = db.execute(query, (user.id, time.time() - REFRESH_TOKEN_SECONDS)).fetchone()[0]
        return AccountRecord(_to_fields(_to_account(account)), count) if account else None

    def list_accounts(self, page: int, size: int) -> AccountPage:
        """Return a page of all accounts, ordered by email address."""
        with self._transaction() as db:
            # one more than the page, to know whether there is a next one
            query = f"{SELECT_ACCOUNTS} ORDER BY email LIMIT ? OFFSET ?"
            rows = db.execute(query, (size + 1, (page - 1) * size)).fetchall()
        return AccountPage([_to_account(row) for row in rows[:size]], page + 1 if len(rows) > size else None)

    def delete_account(self, user: str) -> bool:
        """Delete an account with its refresh tokens. Returns whether it existed."""
        with self._transaction() as db:
            db.execute("DELETE FROM refresh_tokens WHERE account = ?", (user,))
            db.execute("DELETE FROM account_times WHERE account = ?", (user,))
            return db.execute("DELETE FROM accounts WHERE id = ?", (user,)).rowcount > 0

    def _next_session(self, db: sqlite3.Connection, token: sqlite3.Row, now: float) -> Session:
        # coalesce keeps the time of the first use: repeated use must not prolong REUSE_SECONDS.
        db.execute("UPDATE refresh_tokens SET used = coalesce(used, ?) WHERE digest = ?", (now, token["digest"]))
        account = db.execute("SELECT * FROM accounts WHERE id = ?", (token["account"],)).fetchone()
        return self._new_session(db, _to_user(account), token["family"])

    def _new_session(self, db: sqlite3.Connection, user: User, family: str) -> Session:
        token, now = secrets.token_urlsafe(32), time.time()
        db.execute("DELETE FROM refresh_tokens WHERE made < ?", (now - REFRESH_TOKEN_SECONDS,))
        row = (_token_digest(token), user.id, family, now)
        db.execute("INSERT INTO refresh_tokens VALUES (?, ?, ?, ?, NULL)", row)
        return Session(user, self._auth.issue(user, ACCESS_TOKEN_SECONDS), token, ACCESS_TOKEN_SECONDS)

    def _hash(self, password: str) -> str:
        with self._hash_slots:
            return self._hasher.hash(_encode(password))

    def _verify(self, password_hash: str, password: str) -> bool:
        with self._hash_slots:
            try:
                return self._hasher.verify(password_hash, _encode(password))
            except VerificationError:
                return False

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a write transaction on a new connection, committed at the end. Raises `Unavailable`."""
        try:
            db = self._open()
        except (sqlite3.Error, OSError) as error:
            raise Unavailable("The accounts database cannot be opened") from error
        try:
            yield db
            db.commit()
        except sqlite3.OperationalError as error:
            raise Unavailable("The accounts database cannot be used") from error
        finally:
            db.close()

    def _open(self) -> sqlite3.Connection:
        is_new = not self._path.exists()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if is_new:
            # Created before SQLite does, with permissions for the owner only.
            self._path.touch(0o600)
        db = sqlite3.connect(self._path, timeout=15, isolation_level=None)
        db.row_factory = sqlite3.Row
        db.executescript(SCHEMA)
        # IMMEDIATE waits for the write lock. A transaction that starts with a read can fail at its first write.
        db.execute("BEGIN IMMEDIATE")
        return db


def _select_account(db: sqlite3.Connection, email: str) -> Any:
    return db.execute("SELECT * FROM accounts WHERE email = ?", (_normalize_email(email),)).fetchone()


def _to_user(row: Any) -> User:
    return User(row["id"], row["email"], row["role"])


def _to_account(row: Any) -> Account:
    return Account(row["id"], row["email"], row["role"], _to_time(row["created"]), _to_time(row["last_sign_in"]))


def _to_time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _to_fields(account: Account) -> dict[str, object]:
    fields = {name: value for name, value in asdict(account).items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def _normalize_email(email: str) -> str:
    """Return the address in lower case, so that its spelling does not matter."""
    # Lone surrogates, which JSON can contain, cannot be stored.
    return email.strip().lower().encode("utf-8", "replace").decode()


def _encode(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _token_digest(token: str) -> str:
    """Return the SHA-256 of a token, which is stored instead of it: a leaked file contains no usable tokens."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

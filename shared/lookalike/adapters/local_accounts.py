"""Accounts of this machine: in a file of SQLite, passwords by argon2, refresh tokens that are good once."""

import hashlib
import secrets
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from lookalike.domain.errors import Conflict, InvalidField, NotFound, Unauthenticated, Unavailable
from lookalike.domain.model import Session, User
from lookalike.domain.ports import Auth

HOUR, MONTH = 3600, 30 * 86_400
SHORTEST = 8
"""Characters of a password."""
AGAIN = 10
"""Seconds for which a used refresh token is taken again: the answer may have been lost, or two pages share it."""
AT_ONCE = 2
"""Passwords hashed at a time: each takes 64 MB."""
TABLES = """
CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, password TEXT NOT NULL, role TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refresh_tokens (
    digest TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts, family TEXT NOT NULL, made REAL NOT NULL, used REAL);
CREATE INDEX IF NOT EXISTS ix_refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX IF NOT EXISTS ix_refresh_tokens_account ON refresh_tokens (account);
"""


class Issuer(Auth, Protocol):
    """Who makes the tokens that it knows again."""

    def issue(self, user: User, seconds: int) -> str: ...


class LocalAccounts:
    """The port `Accounts`, with tokens of `auth`. Safe to use from several threads and processes."""

    def __init__(self, path: Path, auth: Issuer) -> None:
        self._path, self._auth = path, auth
        self._hasher, self._turns = PasswordHasher(), threading.Semaphore(AT_ONCE)
        self._nobody = self._hashed(secrets.token_hex())

    def register(self, email: str, password: str) -> User:
        if len(password) < SHORTEST:
            raise InvalidField(f"password: at least {SHORTEST} characters are needed", field="password")
        user, hashed = User(str(uuid.uuid4()), _same(email)), self._hashed(password)
        with self._writing() as db:
            try:
                db.execute("INSERT INTO accounts VALUES (?, ?, ?, ?)", (user.id, user.email, hashed, user.role))
            except sqlite3.IntegrityError as error:
                raise Conflict("There is an account of that address") from error
        return user

    def sign_in(self, email: str, password: str) -> Session:
        with self._writing() as db:
            found = db.execute("SELECT * FROM accounts WHERE email = ?", (_same(email),)).fetchone()
        # also where there is none: how long it takes must not tell
        is_right = self._is(found["password"] if found else self._nobody, password)
        if found is None or not is_right:
            raise Unauthenticated("The address or the password is wrong")
        with self._writing() as db:
            return self._session(db, _user(found), secrets.token_hex(16))

    def refresh(self, refresh_token: str) -> Session:
        stolen = False
        with self._writing() as db:
            known = db.execute("SELECT * FROM refresh_tokens WHERE digest = ?", (_digest(refresh_token),)).fetchone()
            now = time.time()
            if known and known["made"] > now - MONTH:
                stolen = known["used"] is not None and known["used"] < now - AGAIN
                if not stolen:
                    return self._next(db, known, now)
                # whoever comes second, the thief or the robbed, both sign in again
                db.execute("DELETE FROM refresh_tokens WHERE family = ?", (known["family"],))
        raise Unauthenticated("The refresh token was used before" if stolen else "The refresh token is not known")

    def sign_out(self, access_token: str) -> None:
        user = self._auth.user(access_token)
        with self._writing() as db:
            db.execute("DELETE FROM refresh_tokens WHERE account = ?", (user.id,))

    def grant(self, email: str, role: str) -> User:
        with self._writing() as db:
            db.execute("UPDATE accounts SET role = ? WHERE email = ?", (role, _same(email)))
            found = db.execute("SELECT * FROM accounts WHERE email = ?", (_same(email),)).fetchone()
        if found is None:
            raise NotFound(f"There is no account of {email}")
        return _user(found)

    def _next(self, db: sqlite3.Connection, known: sqlite3.Row, now: float) -> Session:
        used = "UPDATE refresh_tokens SET used = coalesce(used, ?) WHERE digest = ?"
        db.execute(used, (now, known["digest"]))
        account = db.execute("SELECT * FROM accounts WHERE id = ?", (known["account"],)).fetchone()
        return self._session(db, _user(account), known["family"])

    def _session(self, db: sqlite3.Connection, user: User, family: str) -> Session:
        token, now = secrets.token_urlsafe(32), time.time()
        db.execute("DELETE FROM refresh_tokens WHERE made < ?", (now - MONTH,))
        db.execute("INSERT INTO refresh_tokens VALUES (?, ?, ?, ?, NULL)", (_digest(token), user.id, family, now))
        return Session(user, self._auth.issue(user, HOUR), token, HOUR)

    def _hashed(self, password: str) -> str:
        with self._turns:
            return self._hasher.hash(_encoded(password))

    def _is(self, hashed: str, password: str) -> bool:
        with self._turns:
            try:
                return self._hasher.verify(hashed, _encoded(password))
            except VerificationError:
                return False

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises `Unavailable`."""
        try:
            db = self._open()
        except (sqlite3.Error, OSError) as error:
            raise Unavailable("The accounts cannot be read") from error
        try:
            yield db
            db.commit()
        except sqlite3.OperationalError as error:
            raise Unavailable("The accounts cannot be read") from error
        finally:
            db.close()

    def _open(self) -> sqlite3.Connection:
        is_new = not self._path.exists()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if is_new:
            # the owner's alone, before anything is in it
            self._path.touch(0o600)
        db = sqlite3.connect(self._path, timeout=15, isolation_level=None)
        db.row_factory = sqlite3.Row
        db.executescript(TABLES)
        db.execute("BEGIN IMMEDIATE")
        return db


def _user(row: Any) -> User:
    return User(row["id"], row["email"], row["role"])


def _same(email: str) -> str:
    """Written in any case, an address is one account."""
    # half a character, which JSON can hold, is no address's
    return email.strip().lower().encode("utf-8", "replace").decode()


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _digest(token: str) -> str:
    """What is kept of a token: whoever reads the file cannot use it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

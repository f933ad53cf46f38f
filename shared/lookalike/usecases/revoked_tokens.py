"""Revoked access tokens: refuses tokens of erased users, which would otherwise be valid until they expire."""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from lookalike.domain.errors import Unauthenticated, Unavailable
from lookalike.domain.model import User
from lookalike.domain.ports import Clock, Revocations

REFRESH_SECONDS = 5.0
"""Age at which the revocations are read again. Other instances accept a revoked token for as long."""


class RevokedTokens:
    """Checks the users of verified tokens. Thread-safe. Reads the database at most every `REFRESH_SECONDS`."""

    def __init__(self, revocations: Revocations, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._revocations, self._clock, self._monotonic = revocations, clock, monotonic
        self._lock = threading.Lock()
        self._known: Mapping[str, datetime] | None = None
        self._read_at = 0.0

    def revoke(self, user: str) -> None:
        """Refuse all tokens issued to the user so far. At once in this process, see `REFRESH_SECONDS` for others."""
        self._revocations.revoke_tokens(_key(user), self._clock())
        with self._lock:
            self._known = None

    def check(self, user: User) -> None:
        """Raise `Unauthenticated` if the token of this user is revoked. Raises `Unavailable`."""
        revoked_at = self._current().get(_key(user.id))
        if revoked_at and (user.issued_at is None or user.issued_at < revoked_at.timestamp()):
            raise Unauthenticated("The data of this account was erased: sign in again, or register a new account")

    def _current(self) -> Mapping[str, datetime]:
        with self._lock:
            if self._known is None or self._monotonic() - self._read_at >= REFRESH_SECONDS:
                self._read()
            return self._known or {}

    def _read(self) -> None:
        try:
            self._known, self._read_at = self._revocations.revocations(), self._monotonic()
        except Unavailable:
            # The known tokens stay in use during an outage: the request itself reports it if it needs the database.
            if self._known is None:
                raise


def _key(user: str) -> str:
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()

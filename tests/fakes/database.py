"""Base of the catalog in memory: its lock, the sign-in attempts, and revoked tokens."""

import functools
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from lookalike.adapters.catalog.tables import revocations
from lookalike.adapters.catalog.values import validated
from lookalike.domain.errors import Unavailable
from lookalike.domain.model import Caller, Job

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D", bound="FakeDatabase")


def transaction(method: Callable[Concatenate[D, P], T]) -> Callable[Concatenate[D, P], T]:
    """Run a method under the lock, or raise `Unavailable` as the database's flag says."""

    @functools.wraps(method)
    def run(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._lock:
            if self.is_unavailable:
                raise Unavailable("The database cannot be reached")
            return method(self, *args, **kwargs)

    return run


def is_own_job(caller: Caller, job: Job) -> bool:
    """Return whether a job is listed for the caller."""
    if caller.user is not None:
        return job.owner == caller.user
    return job.owner == caller.owner and job.address == caller.address


class FakeDatabase:
    """Set `is_unavailable` to make every method raise `Unavailable`."""

    def __init__(self) -> None:
        self.is_unavailable = False
        self._lock = threading.RLock()
        self._attempts: dict[str, tuple[int, datetime]] = {}
        self._revocations: dict[str, datetime] = {}

    @transaction
    def add_attempt(self, keys: Sequence[str], since: datetime) -> dict[str, int]:
        for key in keys:
            count, started = self._attempts.get(key, (0, datetime.now(UTC)))
            self._attempts[key] = (1, datetime.now(UTC)) if started < since else (count + 1, started)
        return {key: self._attempts[key][0] for key in keys}

    @transaction
    def count_in_window(self, key: str, start: datetime) -> int:
        count, started = self._attempts.get(key, (0, start))
        self._attempts[key] = (1, start) if started < start else (count + 1, started)
        return self._attempts[key][0]

    @transaction
    def reduce_attempts(self, keys: Sequence[str], count: int | None = None) -> None:
        for key in self._attempts.keys() & set(keys):
            current, started = self._attempts[key]
            self._attempts[key] = (max(0, current - (current if count is None else count)), started)

    @transaction
    def delete_expired_attempts(self, before: datetime) -> int:
        expired = [key for key, (_, started) in self._attempts.items() if started < before]
        for key in expired:
            del self._attempts[key]
        return len(expired)

    @transaction
    def revoke_tokens(self, key: str, before: datetime) -> None:
        validated(revocations, key=key)
        self._revocations[key] = before

    @transaction
    def revocations(self) -> dict[str, datetime]:
        return dict(self._revocations)

    @transaction
    def delete_expired_revocations(self, before: datetime) -> int:
        expired = [key for key, moment in self._revocations.items() if moment < before]
        for key in expired:
            del self._revocations[key]
        return len(expired)

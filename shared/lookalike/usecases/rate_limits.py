"""Rate limits: requests a minute of each API key and of each client address, counted by all instances together.

Windows are fixed: a minute long, and they begin at another second for each counter, so that clients that wait for the
next window do not all return at once. Up to twice the limit can therefore be sent within one minute, around the end of
a window.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lookalike.domain.api_keys import ApiKey
from lookalike.domain.client_network import client_network
from lookalike.domain.errors import RateLimited
from lookalike.domain.model import Caller
from lookalike.domain.ports import Attempts, Clock

WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Policy:
    """A limit that applies to a request."""

    name: str
    """Name for the client: `key`, `key-address` or `address`."""
    subject: str
    """Identifies the counter: all requests with the same subject share the limit."""
    quota: int
    """Requests in each window."""


@dataclass(frozen=True, slots=True)
class ServiceLimit:
    """State of a limit after a request was counted."""

    policy: Policy
    remaining: int
    """Further requests in this window."""
    reset_seconds: int
    """Seconds until the next window begins, at least 1."""
    is_exceeded: bool


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Counts requests. `requests_per_address` is the limit of each anonymous client address; 0: no limit."""

    attempts: Attempts
    clock: Clock
    requests_per_address: int = 0

    def count(self, caller: Caller) -> list[ServiceLimit]:
        """Count a request of this caller and return the state of its limits, none if there are no limits.

        Executes one statement for each limit. If one is exceeded, those after it are not counted: a client that exceeds
        the limit of its address does not use up the limit of the key that it shares with others.
        """
        limits = []
        for policy in self._policies(caller):
            limits.append(self._count(policy))
            if limits[-1].is_exceeded:
                break
        return limits

    def _policies(self, caller: Caller) -> Iterator[Policy]:
        if caller.key is not None:
            yield from _policies_of_key(caller.key, caller.address)
        elif caller.user is None and self.requests_per_address:
            yield Policy("address", f"request::{client_network(caller.address)}", self.requests_per_address)

    def _count(self, policy: Policy) -> ServiceLimit:
        now = self.clock().timestamp()
        start = window_start(policy.subject, now)
        count = self.attempts.count_in_window(policy.subject, datetime.fromtimestamp(start, UTC))
        reset = max(1, math.ceil(start + WINDOW_SECONDS - now))
        return ServiceLimit(policy, max(0, policy.quota - count), reset, count > policy.quota)


def _policies_of_key(key: ApiKey, address: str) -> Iterator[Policy]:
    if key.requests_per_address:
        yield Policy("key-address", f"request:{key.id}:{client_network(address)}", key.requests_per_address)
    if key.requests_per_minute:
        yield Policy("key", f"request:{key.id}", key.requests_per_minute)


def window_start(subject: str, now: float) -> int:
    """Return the Unix time at which the current window of a subject began."""
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest()
    offset = int.from_bytes(digest[:4]) % WINDOW_SECONDS
    return int((now - offset) // WINDOW_SECONDS) * WINDOW_SECONDS + offset


def require_quota(limits: Sequence[ServiceLimit]) -> None:
    """Raise `RateLimited` if one of the limits is exceeded."""
    for limit in limits:
        if limit.is_exceeded:
            whose = "your address" if limit.policy.name == "address" else "this API key"
            if limit.policy.name == "key-address":
                whose = "your address with this API key"
            message = f"More than {limit.policy.quota} requests a minute from {whose}: retry in {limit.reset_seconds} s"
            raise RateLimited(message, limit.reset_seconds, policy=limit.policy.name)

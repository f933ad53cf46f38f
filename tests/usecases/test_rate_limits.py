"""Rate limits of API keys and of anonymous addresses."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.domain.errors import RateLimited
from lookalike.domain.model import Caller
from lookalike.usecases.rate_limits import WINDOW_SECONDS, RateLimits, require_quota, window_start
from tests.contracts.test_api_keys import api_key
from tests.fakes.catalog import FakeCatalog

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class LimitsHarness:
    """Rate limits with a clock that can be advanced by `elapsed`."""

    def __init__(self, per_address: int = 0) -> None:
        self.store, self.elapsed = FakeCatalog(), timedelta()
        self.limits = RateLimits(self.store, lambda: NOW + self.elapsed, per_address)

    def is_allowed(self, caller: Caller) -> bool:
        """Count a request. Returns whether it is within the limits."""
        try:
            require_quota(self.limits.count(caller))
        except RateLimited as error:
            assert error.retry_after and 1 <= error.retry_after <= WINDOW_SECONDS
            return False
        return True

    def allowed(self, caller: Caller, count: int) -> int:
        """Send some requests. Returns how many of them are within the limits."""
        return sum(self.is_allowed(caller) for _ in range(count))


def key_caller(address: str = "10.0.0.1", **fields: object) -> Caller:
    return Caller(address=address, key=api_key(**fields))  # type: ignore[arg-type]


def test_without_limits_the_database_is_not_used() -> None:
    harness = LimitsHarness()
    harness.store.is_unavailable = True
    for caller in (Caller(address="10.0.0.1"), key_caller(requests_per_minute=0, requests_per_address=0)):
        assert harness.limits.count(caller) == []


def test_signed_in_users_are_not_counted() -> None:
    harness = LimitsHarness(1)
    assert harness.allowed(Caller("anna", address="10.0.0.1"), 5) == 5


def test_limit_of_an_address_is_that_of_its_network() -> None:
    harness = LimitsHarness(3)
    assert harness.allowed(Caller(address="10.0.0.1"), 5) == 3
    assert harness.allowed(Caller(address="::ffff:10.0.0.1"), 1) == 0
    assert harness.allowed(Caller(address="10.0.0.2"), 5) == 3
    assert harness.allowed(Caller(address="2001:db8::1"), 5) == 3
    assert harness.allowed(Caller(address="2001:db8::ffff:1"), 1) == 0
    assert harness.allowed(Caller(address="2001:db8:0:1::1"), 1) == 1


def test_limit_is_restored_in_the_next_window() -> None:
    harness = LimitsHarness(3)
    caller = Caller(address="10.0.0.1")
    (state,) = harness.limits.count(caller)
    assert (state.remaining, state.is_exceeded) == (2, False) and 1 <= state.reset_seconds <= WINDOW_SECONDS
    assert harness.allowed(caller, 5) == 2
    harness.elapsed = timedelta(seconds=state.reset_seconds - 0.5)
    assert harness.allowed(caller, 1) == 0
    harness.elapsed = timedelta(seconds=state.reset_seconds)
    assert harness.allowed(caller, 5) == 3


def test_limit_of_a_key_is_shared_by_all_addresses() -> None:
    harness = LimitsHarness(1)
    callers = [key_caller(f"10.0.0.{number}", requests_per_minute=5, requests_per_address=0) for number in range(7)]
    assert sum(harness.is_allowed(caller) for caller in callers) == 5
    other = key_caller("10.0.0.1", key_id="other", requests_per_minute=5, requests_per_address=0)
    assert harness.allowed(other, 9) == 5


def test_an_address_above_its_limit_does_not_use_up_the_key() -> None:
    harness = LimitsHarness()
    limits = {"requests_per_minute": 10, "requests_per_address": 4}
    assert harness.allowed(key_caller("10.0.0.1", **limits), 100) == 4
    assert harness.allowed(key_caller("10.0.0.2", **limits), 100) == 4
    assert harness.allowed(key_caller("10.0.0.3", **limits), 3) == 2
    state = harness.limits.count(key_caller("10.0.0.3", **limits))
    assert [one.policy.name for one in state] == ["key-address", "key"] and state[1].is_exceeded


def test_message_tells_the_limit_and_the_time() -> None:
    harness = LimitsHarness(1)
    caller = Caller(address="10.0.0.1")
    harness.limits.count(caller)
    with pytest.raises(RateLimited, match=r"More than 1 requests a minute from your address: retry in \d+ s") as caught:
        require_quota(harness.limits.count(caller))
    assert caught.value.details == {"policy": "address"}


@given(st.text(), st.floats(0, 4e9))
def test_windows_are_a_minute_long_and_contain_the_moment(subject: str, now: float) -> None:
    start = window_start(subject, now)
    assert start <= now < start + WINDOW_SECONDS
    assert window_start(subject, start) == start == window_start(subject, start + WINDOW_SECONDS - 0.001)
    assert window_start(subject, start + WINDOW_SECONDS) == start + WINDOW_SECONDS


def test_windows_of_different_subjects_begin_at_different_seconds() -> None:
    starts = {window_start(f"request:{number}", NOW.timestamp()) % WINDOW_SECONDS for number in range(1000)}
    assert len(starts) == WINDOW_SECONDS

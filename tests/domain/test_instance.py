"""The process that serves requests: cold start, and how concurrent requests share its time."""

import pytest

from lookalike.domain.instance import Cost, Instance, Prices


class Clock:
    """A clock that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_only_the_first_request_is_cold() -> None:
    instance = Instance()
    with instance.serve() as first, instance.serve() as second:
        pass
    assert first.is_cold and not second.is_cold


def test_health_checks_are_not_the_first_request() -> None:
    instance = Instance()
    with instance.serve(is_health_check=True) as probe:
        assert probe.is_cold
    with instance.serve() as first:
        assert first.is_cold
    with instance.serve(is_health_check=True) as probe:
        assert not probe.is_cold


def test_start_ends_when_the_instance_is_ready() -> None:
    clock = Clock()
    instance = Instance(clock)
    clock.now += 2.5
    with instance.serve(is_health_check=True):
        assert instance.start_seconds == 0
    instance.mark_ready()
    clock.now += 60
    with instance.serve():
        assert instance.start_seconds == 2.5


def test_start_without_health_checks_ends_with_the_first_request() -> None:
    clock = Clock()
    instance = Instance(clock)
    clock.now += 4
    with instance.serve():
        clock.now += 1
    assert instance.start_seconds == 4


def test_concurrent_requests_share_the_time_of_the_instance() -> None:
    """The first runs alone for 1 s, then with the second for 2 s, then alone for 3 s."""
    clock = Clock()
    instance = Instance(clock)
    with instance.serve() as first:
        clock.now += 1
        with instance.serve() as second:
            clock.now += 2
        clock.now += 3
    assert (first.seconds, second.seconds) == (5, 1)


def test_time_without_requests_belongs_to_no_request() -> None:
    clock = Clock()
    instance = Instance(clock)
    for _ in range(2):
        clock.now += 50
        with instance.serve() as share:
            clock.now += 1
        assert share.seconds == 1


def test_failed_request_is_counted_to_its_end() -> None:
    clock = Clock()
    instance = Instance(clock)
    with pytest.raises(ValueError), instance.serve() as failed:
        clock.now += 1
        raise ValueError("broken")
    with instance.serve() as later:
        clock.now += 2
    assert (failed.seconds, later.seconds) == (1, 2)


def test_cost_is_the_share_of_the_instance_and_the_request() -> None:
    assert Prices(0.5, 0.25, "EUR").estimate_cost(3) == Cost(1.75, "EUR")

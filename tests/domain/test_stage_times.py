"""Stage times: nested and interrupted stages, and other threads."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lookalike.domain.stage_times import Stage, StageTimes, enter_stage, measure_stages, stage


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nested_stage_is_not_counted_in_the_outer_one() -> None:
    clock = Clock()
    times = StageTimes(clock)
    detect = times.enter(Stage.DETECT)
    clock.now = 1.0
    queue = times.enter(Stage.QUEUE)
    clock.now = 5.0
    times.leave(queue)
    clock.now = 7.0
    times.leave(detect)
    assert times.seconds() == {Stage.QUEUE: 4.0, Stage.DETECT: 3.0}
    assert queue.parent is detect and detect.parent is None


def test_stage_that_runs_twice_is_added_up() -> None:
    clock = Clock()
    times = StageTimes(clock)
    for clock.now in (1.0, 10.0):
        rows = times.enter(Stage.ROWS)
        clock.now += 2.0
        times.leave(rows)
    assert times.seconds() == {Stage.ROWS: 4.0} and len(times.intervals) == 2


def test_stage_ends_with_the_stage_around_it() -> None:
    """A job that fails does not end its last stage before the measurement ends."""
    clock = Clock()
    times = StageTimes(clock)
    search = times.enter(Stage.SEARCH)
    rows = times.enter(Stage.ROWS)
    clock.now = 3.0
    times.leave(search)
    times.leave(rows)
    assert times.seconds() == {Stage.SEARCH: 0.0, Stage.ROWS: 3.0}


def test_stages_are_measured_in_the_context_only() -> None:
    with stage(Stage.DECODE):
        pass
    with measure_stages() as times:
        enter_stage(Stage.EMBED)
        with stage(Stage.QUEUE):
            pass
    with stage(Stage.STORE):
        pass
    assert list(times.seconds()) == [Stage.QUEUE, Stage.EMBED]
    assert not any(interval.is_open for interval in times.intervals)


def test_stage_that_raises_is_measured() -> None:
    with pytest.raises(ValueError), measure_stages() as times, stage(Stage.DECODE):
        raise ValueError("broken")
    assert list(times.seconds()) == [Stage.DECODE]


def test_other_threads_are_not_measured() -> None:
    """They run at the same time as the stage that waits for them."""
    with measure_stages() as times, ThreadPoolExecutor() as pool:
        pool.submit(enter_stage, Stage.PICTURES).result()
    assert times.intervals == []

"""Telemetry that keeps its records in memory, and a record."""

from typing import Any

from lookalike.domain.ports import RequestRecord
from lookalike.domain.stage_times import Stage, StageTimes

STARTED_AT = 1_700_000_000_000_000_000
"""Start of the record in nanoseconds since 1970."""


class FakeTelemetry:
    """Keeps all records. With `is_broken`, it raises instead."""

    def __init__(self, is_broken: bool = False) -> None:
        self.records: list[RequestRecord] = []
        self.is_broken, self.is_shut_down = is_broken, False

    def record(self, request: RequestRecord) -> str:
        if self.is_broken:
            raise RuntimeError("broken")
        if not self.is_shut_down:
            self.records.append(request)
        return request.parent.trace_id if request.parent else f"{len(self.records):032x}"

    def shut_down(self) -> None:
        self.is_shut_down = True


def make_record(**fields: Any) -> RequestRecord:
    """Return the record of a search of 0.1 s, with a queue of 0.01 s inside the detection of 0.03 s."""
    times = StageTimes(iter((0.02, 0.03, 0.04, 0.05)).__next__)
    detect = times.enter(Stage.DETECT)
    times.leave(times.enter(Stage.QUEUE))
    times.leave(detect)
    known = {
        "method": "POST",
        "route": "/relay_image",
        "path": "/relay_image",
        "scheme": "https",
        "user_agent": "shop",
        "status": 200,
        "started_at": STARTED_AT,
        "seconds": 0.1,
        "times": times,
        "is_cold": False,
    }
    return RequestRecord(**{**known, **fields})

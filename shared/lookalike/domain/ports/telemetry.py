"""Port of traces and metrics, and what they are about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lookalike.domain.instance import Cost
from lookalike.domain.stage_times import StageTimes


@dataclass(frozen=True, slots=True)
class TraceParent:
    """The caller's span: what the headers `traceparent` and `X-Cloud-Trace-Context` contain."""

    trace_id: str
    """32 hexadecimal digits in lower case."""
    span_id: str
    """16 hexadecimal digits in lower case."""
    is_sampled: bool


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A request that was answered. Contains neither the query string nor headers with credentials."""

    method: str
    route: str
    """Pattern of the path, such as `/splitted_images/<id>`; "" if no route matches."""
    path: str
    scheme: str
    user_agent: str
    status: int
    started_at: int
    """Nanoseconds since 1970."""
    seconds: float
    times: StageTimes
    is_cold: bool
    parent: TraceParent | None = None
    cost: Cost | None = None
    error: str = ""
    """Code of the error, such as `not_found`; "" if the response is not an error."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A measured value of the process."""

    name: str
    unit: str
    """Unit by UCUM, such as `{row}`."""
    description: str
    read: Callable[[], int | None]
    """Returns the value, or `None` if there is none yet. Called by other threads."""


Gauges = Sequence[Gauge]


class Telemetry(Protocol):
    """Sends traces and metrics. Thread-safe. A receiver that cannot be reached neither delays nor fails a call."""

    def record(self, request: RequestRecord) -> str:
        """Record a request with its stages. Returns its trace id, 32 hexadecimal digits, or "" without traces."""
        ...

    def shut_down(self) -> None:
        """Send what is not sent yet, for at most `SHUTDOWN_SECONDS`. Further records are ignored."""
        ...


SHUTDOWN_SECONDS = 2.0
"""The host gives 10 seconds from SIGTERM to SIGKILL, of which running requests may take 8."""

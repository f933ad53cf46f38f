"""Timing of requests: the response header `Server-Timing`, a log line for each request, and telemetry."""

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import TypeVar

from werkzeug.wrappers import Request, Response

from lookalike import logs
from lookalike.bootstrap import Services, services
from lookalike.domain.errors import LookalikeError
from lookalike.domain.instance import Cost, Instance
from lookalike.domain.ports import RequestRecord, TraceParent
from lookalike.domain.stage_times import measure_stages
from lookalike.http.trace_context import read_trace_parent
from lookalike.usecases.jobs import validate_or_create_job_id

log = logging.getLogger("lookalike.requests")
R = TypeVar("R", bound=Response)
HEALTH_CHECKS = frozenset({"/healthz", "/readyz"})
INSTANCE = Instance()
"""This process. Created at import, before the host forks the process that serves requests."""


def respond_timed(request: Request, route: str, respond: Callable[[], R]) -> R:
    """Return the response of `respond` with `Server-Timing`. Logs the request and passes it to telemetry.

    `route` is the pattern of the path, or "" if no route matches. Log lines get the id of the request and of its trace.
    """
    opened, parent = _open_services(), read_trace_parent(request.headers)
    project = opened.settings.google_cloud_project if opened else ""
    # `respond` replaces the request id if the caller chose one
    logs.set_request_context(validate_or_create_job_id(None), _trace_id(request, parent), project)
    started_at = time.time_ns()
    with INSTANCE.serve(route in HEALTH_CHECKS) as share, measure_stages() as times:
        response = respond()
    seconds = time.monotonic() - times.start
    if route == "/readyz" and response.status_code == 200:
        INSTANCE.mark_ready()
    cost = opened.settings.prices.estimate_cost(share.seconds) if opened and opened.settings.prices else None
    record = RequestRecord(
        method=request.method,
        route=route,
        path=request.path,
        scheme=request.scheme,
        user_agent=request.user_agent.string,
        status=response.status_code,
        started_at=started_at,
        seconds=seconds,
        times=times,
        is_cold=share.is_cold,
        parent=parent,
        cost=cost,
        error=_error_code(response),
    )
    response.headers["Server-Timing"] = server_timing(record)
    _report(record, opened)
    return response


def server_timing(record: RequestRecord) -> str:
    """Return the header's value: durations in milliseconds, the state of the instance and the cost.

    The syntax is that of https://www.w3.org/TR/server-timing/.
    """
    durations = [*record.times.seconds().items(), ("total", record.seconds)]
    metrics = [f"{name};dur={seconds * 1000:.1f}" for name, seconds in durations]
    metrics.append(f"instance;desc={'cold' if record.is_cold else 'warm'}")
    if record.cost:
        metrics.append(f'cost;desc="{_format_amount(record.cost)} {record.cost.currency}"')
    return ", ".join(metrics)


def _format_amount(cost: Cost) -> str:
    """Return three significant digits without an exponent."""
    return f"{Decimal(f'{cost.amount:.3g}'):f}"


def _open_services() -> Services | None:
    # With invalid settings, the response reports them.
    with suppress(LookalikeError):
        return services()
    return None


def _error_code(response: Response) -> str:
    """Return the code in the body of an error response, "" for other responses."""
    if response.status_code < 400 or response.mimetype != "application/json":
        return ""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(response.get_data())["error"]["code"])
    return ""


def _trace_id(request: Request, parent: TraceParent | None) -> str:
    # not only from a valid header: some clients send a trace id without a span
    return parent.trace_id if parent else request.headers.get("X-Cloud-Trace-Context", "").partition("/")[0]


def _report(record: RequestRecord, opened: Services | None) -> None:
    """Pass the request to telemetry, and log it. Successful health checks are neither logged nor recorded."""
    telemetry = opened.telemetry if opened else None
    if record.route in HEALTH_CHECKS and record.status < 400:
        return
    trace_id = record.parent.trace_id if record.parent else None
    if telemetry:
        try:
            trace_id = telemetry.record(record) or trace_id
        except Exception:
            # The request is done: its measurement must not turn it into a failure.
            log.warning("The request could not be recorded in telemetry", exc_info=True)
    fields = {
        "method": record.method,
        "route": record.route or None,
        "status": record.status,
        "error": record.error or None,
        "seconds": round(record.seconds, 4),
        "stages": {stage: round(seconds, 4) for stage, seconds in record.times.seconds().items()},
        "cold": record.is_cold,
        "start_seconds": round(INSTANCE.start_seconds, 3) if record.is_cold else None,
        "cost": record.cost.amount if record.cost else None,
        "currency": record.cost.currency if record.cost else None,
        "trace_id": trace_id,
    }
    log.info("Request", extra=fields)

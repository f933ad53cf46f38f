"""The caller's trace, from the request headers `traceparent` and `X-Cloud-Trace-Context`."""

import re

from werkzeug.datastructures import Headers

from lookalike.domain.ports import TraceParent

TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
"""https://www.w3.org/TR/trace-context/#traceparent-header. Later versions may append further fields."""
CLOUD_TRACE = re.compile(r"([0-9a-f]{32})/(\d{1,20})(?:;o=(\d))?", re.ASCII | re.IGNORECASE)
"""https://cloud.google.com/trace/docs/trace-context: the span id is decimal, and `o=1` marks a sampled trace."""
MAX_SPAN_ID = 2**64 - 1


def read_trace_parent(headers: Headers) -> TraceParent | None:
    """Return the caller's span, or `None` without a valid header. `traceparent` takes precedence."""
    parents = (
        _parse_traceparent(headers.get("traceparent", "")),
        _parse_cloud_trace(headers.get("X-Cloud-Trace-Context", "")),
    )
    return next((one for one in parents if one and int(one.trace_id, 16) and int(one.span_id, 16)), None)


def _parse_traceparent(header: str) -> TraceParent | None:
    match = TRACEPARENT.fullmatch(header.strip())
    if match is None or (match[1] == "00" and match[5]):
        return None
    return TraceParent(match[2], match[3], bool(int(match[4], 16) & 1))


def _parse_cloud_trace(header: str) -> TraceParent | None:
    match = CLOUD_TRACE.fullmatch(header.strip())
    if match is None or int(match[2]) > MAX_SPAN_ID:
        return None
    return TraceParent(match[1].lower(), f"{int(match[2]):016x}", match[3] == "1")

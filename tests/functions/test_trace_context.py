"""Headers with the caller's trace."""

import pytest
from werkzeug.datastructures import Headers

from lookalike.domain.ports import TraceParent
from lookalike.http.trace_context import read_trace_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER_TRACE = "105445aa7843bc8bf206b12000100000"


def test_traceparent_is_read() -> None:
    """The example of the specification."""
    headers = Headers({"traceparent": f"00-{TRACE}-{SPAN}-01"})
    assert read_trace_parent(headers) == TraceParent(TRACE, SPAN, True)
    assert read_trace_parent(Headers({"traceparent": f"00-{TRACE}-{SPAN}-00"})) == TraceParent(TRACE, SPAN, False)


def test_later_version_of_traceparent_may_have_more_fields() -> None:
    assert read_trace_parent(Headers({"traceparent": f"cc-{TRACE}-{SPAN}-01-more"})) == TraceParent(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}x-{SPAN}-01",
    ],
)
def test_invalid_traceparent_is_ignored(header: str) -> None:
    assert read_trace_parent(Headers({"traceparent": header})) is None


def test_cloud_trace_has_a_decimal_span_id() -> None:
    parent = read_trace_parent(Headers({"X-Cloud-Trace-Context": f"{OTHER_TRACE.upper()}/255;o=1"}))
    assert parent == TraceParent(OTHER_TRACE, "00000000000000ff", True)
    unsampled = read_trace_parent(Headers({"X-Cloud-Trace-Context": f"{OTHER_TRACE}/255"}))
    assert unsampled == TraceParent(OTHER_TRACE, "00000000000000ff", False)


@pytest.mark.parametrize("header", [OTHER_TRACE, f"{OTHER_TRACE}/0;o=1", f"{OTHER_TRACE}/{2**64}", f"{TRACE}/x", "/1"])
def test_invalid_cloud_trace_is_ignored(header: str) -> None:
    assert read_trace_parent(Headers({"X-Cloud-Trace-Context": header})) is None


def test_traceparent_takes_precedence() -> None:
    headers = Headers({"traceparent": f"00-{TRACE}-{SPAN}-01", "X-Cloud-Trace-Context": f"{OTHER_TRACE}/1;o=0"})
    assert read_trace_parent(headers) == TraceParent(TRACE, SPAN, True)


def test_cloud_trace_is_read_if_traceparent_is_invalid() -> None:
    for invalid in ("garbage", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01"):
        headers = Headers({"traceparent": invalid, "X-Cloud-Trace-Context": f"{OTHER_TRACE}/1;o=1"})
        assert read_trace_parent(headers) == TraceParent(OTHER_TRACE, "0000000000000001", True)

"""Traces and metrics as an OTLP receiver gets them."""

import socket
import time
from collections.abc import Iterator

import pytest
import requests
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from lookalike.adapters.telemetry import OtlpTelemetry
from lookalike.domain.ports import Gauge, Gauges, RequestRecord, TraceParent
from tests.emulators.otlp_receiver import OtlpReceiver, attributes, otlp_receiver
from tests.fakes.telemetry import STARTED_AT, make_record

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
EXPORT_TIMEOUT, BLOCKED = 60, 30
"""Seconds: how long the exporter waits for a response, and from when on a call must have waited for the exporter."""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def send(*records: RequestRecord, gauges: Gauges = (), has_traces: bool = True, has_metrics: bool = True) -> None:
    """Record requests and send everything."""
    telemetry = OtlpTelemetry("relay", "1.2", gauges, has_traces, has_metrics)
    for record in records:
        telemetry.record(record)
    telemetry.shut_down()


def spans_by_name(receiver: OtlpReceiver) -> dict[str, Span]:
    return {span.name: span for span in receiver.spans}


def test_request_is_a_server_span_with_its_stages_inside(receiver: OtlpReceiver) -> None:
    send(make_record())
    spans = spans_by_name(receiver)
    server, detect, queue = (spans[name] for name in ("POST /relay_image", "detect", "queue"))
    assert len(spans) == 3 and server.kind == Span.SPAN_KIND_SERVER and not server.parent_span_id
    assert detect.parent_span_id == server.span_id and queue.parent_span_id == detect.span_id
    assert server.trace_id == detect.trace_id == queue.trace_id
    milliseconds = [
        ((span.start_time_unix_nano - STARTED_AT) / 1e6, (span.end_time_unix_nano - STARTED_AT) / 1e6)
        for span in (server, detect, queue)
    ]
    assert milliseconds == [(0, 100), (20, 50), (30, 40)]


def test_server_span_has_the_attributes_of_the_conventions(receiver: OtlpReceiver) -> None:
    send(make_record(route="/splitted_images/<id>", path="/splitted_images/x", method="GET", is_cold=True))
    span = spans_by_name(receiver)["GET /splitted_images/<id>"]
    assert attributes(span.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/splitted_images/<id>",
        "url.scheme": "https",
        "url.path": "/splitted_images/x",
        "user_agent.original": "shop",
        "faas.coldstart": True,
    }
    assert span.status.code == Status.STATUS_CODE_UNSET


def test_server_errors_mark_the_span_and_client_errors_do_not(receiver: OtlpReceiver) -> None:
    send(make_record(status=503), make_record(status=404, route="", path="/nothing", method="GET"))
    failed, unknown = (spans_by_name(receiver)[name] for name in ("POST /relay_image", "GET"))
    assert failed.status.code == Status.STATUS_CODE_ERROR and attributes(failed.attributes)["error.type"] == "503"
    assert unknown.status.code == Status.STATUS_CODE_UNSET
    assert not {"error.type", "http.route"} & attributes(unknown.attributes).keys()


def test_unknown_method_is_not_a_name_or_a_dimension(receiver: OtlpReceiver) -> None:
    """Otherwise clients could create any number of time series."""
    send(make_record(method="BREW", status=405))
    found = attributes(spans_by_name(receiver)["HTTP /relay_image"].attributes)
    assert (found["http.request.method"], found["http.request.method_original"]) == ("_OTHER", "BREW")
    (point,) = receiver.metrics["http.server.request.duration"].histogram.data_points
    assert "BREW" not in attributes(point.attributes).values()


def test_parent_of_the_caller_is_continued(receiver: OtlpReceiver) -> None:
    send(make_record(parent=TraceParent(TRACE, SPAN, True)))
    server = spans_by_name(receiver)["POST /relay_image"]
    assert (server.trace_id.hex(), server.parent_span_id.hex()) == (TRACE, SPAN)


def test_trace_that_the_caller_does_not_sample_is_not_sent(receiver: OtlpReceiver) -> None:
    send(make_record(parent=TraceParent(TRACE, SPAN, False)))
    assert receiver.spans == [] and "http.server.request.duration" in receiver.metrics


def test_durations_are_histograms_in_seconds(receiver: OtlpReceiver) -> None:
    send(make_record(), make_record(status=500))
    metric = receiver.metrics["http.server.request.duration"]
    by_status = {
        attributes(point.attributes)["http.response.status_code"]: point for point in metric.histogram.data_points
    }
    assert metric.unit == "s" and by_status.keys() == {200, 500}
    assert by_status[200].count == 1 and by_status[200].sum == pytest.approx(0.1)
    assert list(by_status[200].explicit_bounds)[:2] == [0.005, 0.01]
    assert attributes(by_status[500].attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 500,
        "http.route": "/relay_image",
        "url.scheme": "https",
        "error.type": "500",
    }
    stages = receiver.metrics["lookalike.request.stage.duration"].histogram.data_points
    sums = {attributes(point.attributes)["lookalike.stage"]: point.sum for point in stages}
    assert sums == {"detect": pytest.approx(2 * 0.02), "queue": pytest.approx(2 * 0.01)}


def test_gauges_are_read_when_metrics_are_sent(receiver: OtlpReceiver) -> None:
    gauges = [Gauge("rows", "{row}", "Rows.", lambda: 7), Gauge("none", "{row}", "None yet.", lambda: None)]
    send(gauges=gauges)
    (point,) = receiver.metrics["rows"].gauge.data_points
    assert point.as_int == 7 and receiver.metrics["rows"].unit == "{row}" and "none" not in receiver.metrics


def test_failing_gauge_does_not_hide_the_other_metrics(receiver: OtlpReceiver) -> None:
    def fail() -> int:
        raise RuntimeError("broken")

    send(make_record(), gauges=[Gauge("broken", "", "", fail)])
    assert "http.server.request.duration" in receiver.metrics


def test_resource_names_service_version_and_instance(receiver: OtlpReceiver) -> None:
    send(make_record())
    first, second = (attributes(resource.attributes) for resource in receiver.resources)
    assert (first["service.name"], first["service.version"]) == ("relay", "1.2")
    assert first["service.instance.id"] == second["service.instance.id"] != ""


def test_standard_variables_name_the_service(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=9,deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20collector")
    send(make_record())
    found = attributes(receiver.resources[0].attributes)
    assert [found[name] for name in ("service.name", "service.version", "deployment.environment.name")] == [
        "shop",
        "9",
        "test",
    ]
    assert {headers["authorization"] for headers in receiver.headers} == {"Bearer collector"}


@pytest.mark.parametrize("has_traces", [True, False])
def test_only_the_chosen_signal_is_sent(receiver: OtlpReceiver, has_traces: bool) -> None:
    send(make_record(), has_traces=has_traces, has_metrics=not has_traces)
    assert bool(receiver.traces) is has_traces and bool(receiver.metric_exports) is not has_traces


def test_without_traces_the_trace_of_the_caller_is_named(receiver: OtlpReceiver) -> None:
    telemetry = OtlpTelemetry("relay", "1.2", (), has_traces=False, has_metrics=True)
    assert telemetry.record(make_record()) == ""
    assert telemetry.record(make_record(parent=TraceParent(TRACE, SPAN, True))) == TRACE
    telemetry.shut_down()


def test_receiver_that_does_not_respond_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts the connection, and then sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(EXPORT_TIMEOUT))
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
        telemetry = OtlpTelemetry("relay", "1.2", (), has_traces=True, has_metrics=True)
        start = time.monotonic()
        for _ in range(100):
            telemetry.record(make_record())
        telemetry.shut_down()
        assert time.monotonic() - start < BLOCKED


def test_receiver_that_is_away_is_reported_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    send(make_record())
    assert "Failed to export spans batch" in caplog.text


def test_traces_are_sent_with_the_given_session(receiver: OtlpReceiver) -> None:
    session = requests.Session()
    session.headers["Authorization"] = "Bearer token"
    telemetry = OtlpTelemetry("lookalike", "1.0", (), True, False, session)
    telemetry.record(make_record())
    telemetry.shut_down()
    assert receiver.spans and receiver.headers[0]["Authorization"] == "Bearer token"

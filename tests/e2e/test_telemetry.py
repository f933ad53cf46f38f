"""Traces and metrics of running servers, as an OTLP receiver gets them."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import jpeg
from tests.e2e.server import Server
from tests.e2e.test_deployed_functions import Function
from tests.emulators.otlp_receiver import OtlpReceiver, attributes, otlp_receiver
from tests.sample_photos import sample_photo

PHOTO = jpeg(sample_photo(3))
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as running:
        yield running


def names_of_children(receiver: OtlpReceiver, parent: bytes) -> set[str]:
    return {span.name for span in receiver.spans if span.parent_span_id == parent}


def test_server_sends_traces_with_stages_and_metrics(tmp_path: Path, receiver: OtlpReceiver) -> None:
    server = Server(tmp_path / "serve", receiver.environment).start()
    assert server.upload(PHOTO, "one").status == 200
    found = server.request("POST", "/relay_image?segment=true", {"image_base64": "broken"}, TRACEPARENT)
    assert found.status == 400
    assert server.search(PHOTO, segment=True).status == 200
    # at SIGTERM, the server sends what is left
    assert server.stop() == 0
    by_name = {span.name: span for span in receiver.spans}
    upload = by_name["POST /upload_image"]
    stages = {"job", "claim", "decode", "detect", "embed", "store"}
    assert names_of_children(receiver, upload.span_id) == stages
    assert {"queue", "encode", "rows", "search"} <= by_name.keys()
    (continued,) = [span for span in receiver.spans if span.parent_span_id.hex() == SPAN]
    assert continued.trace_id.hex() == TRACE and attributes(continued.attributes)["http.response.status_code"] == 400
    metrics = receiver.metrics
    requests = [attributes(point.attributes) for point in metrics["http.server.request.duration"].histogram.data_points]
    counted = {(found["http.route"], found["http.response.status_code"]) for found in requests}
    assert counted == {("/upload_image", 200), ("/relay_image", 400), ("/relay_image", 200)}
    durations = metrics["lookalike.request.stage.duration"].histogram.data_points
    assert {attributes(point.attributes)["lookalike.stage"] for point in durations} >= stages
    assert metrics["lookalike.models.requests"].gauge.data_points[0].as_int == 0
    assert metrics["lookalike.index.rows"].gauge.data_points[0].as_int >= 1
    assert {attributes(resource.attributes)["service.name"] for resource in receiver.resources} == {"lookalike"}


def test_function_sends_what_is_left_at_its_end(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """functions-framework with its forked worker, as in a container."""
    settings = {**receiver.environment, "OTEL_BSP_SCHEDULE_DELAY": "60000", "OTEL_SERVICE_NAME": "shop-detail"}
    function = Function(tmp_path / "detail", settings).serve("detail")
    assert function.request("GET", "/splitted_images/x", headers=TRACEPARENT).status == 404
    assert not receiver.spans
    function.stop()
    by_name = {span.name: span for span in receiver.spans}
    assert by_name.keys() == {"GET /splitted_images/<id>", "rows"}
    assert by_name["rows"].trace_id.hex() == TRACE
    assert "http.server.request.duration" in receiver.metrics
    assert attributes(receiver.resources[0].attributes)["service.name"] == "shop-detail"


def test_server_works_without_its_receiver(tmp_path: Path) -> None:
    with otlp_receiver() as gone:
        environment = gone.environment
    server = Server(tmp_path / "serve", environment).start()
    for _ in range(5):
        response = server.request("GET", "/splitted_images/x")
        assert response.status == 404 and "Server-Timing" in response.headers
    start = time.monotonic()
    assert server.stop() == 0
    # Cloud Run sends SIGKILL after 10 seconds
    assert time.monotonic() - start < 8
    assert '"logger": "opentelemetry.exporter' in server.log()

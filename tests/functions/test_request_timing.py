"""Timing of requests: the header `Server-Timing`, the log line and what telemetry gets."""

import io
import json
import logging
import re
from typing import Any

import pytest
from werkzeug.test import Client as WsgiClient

from lookalike.bootstrap import Services, services
from lookalike.domain.instance import Cost, Instance
from lookalike.domain.ports import RequestRecord, TraceParent
from lookalike.domain.stage_times import Stage, StageTimes
from lookalike.http import request_timing
from lookalike.http.request_timing import server_timing
from lookalike.local.gateway import FUNCTION_NAMES, Gateway
from lookalike.logs import JsonFormatter
from tests.conftest import FUNCTIONS_FOLDER
from tests.fakes.telemetry import FakeTelemetry
from tests.functions.harness import PHOTO, Client, encode_base64, search_photo, upload_photo

METRIC = re.compile(r'[!#$%&\'*+.^_`|~\w-]+(;(dur=\d+(\.\d+)?|desc=([!#$%&\'*+.^_`|~\w-]+|"[^"\\]*")))+')
"""A metric by the grammar of https://www.w3.org/TR/server-timing/, with the two parameters that it defines."""
PRICES = {
    "PRICE_VCPU_SECOND": "0.25",
    "INSTANCE_VCPUS": "2",
    "PRICE_GIB_SECOND": "0.125",
    "INSTANCE_GIB": "4",
    "PRICE_MILLION_REQUESTS": "3000000",
    "PRICE_CURRENCY": "EUR",
}
LOCAL_ORIGIN = "http://localhost:3000"


@pytest.fixture(autouse=True)
def _new_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cold instance for each test."""
    monkeypatch.setattr(request_timing, "INSTANCE", Instance())


def make_record(times: StageTimes, **fields: Any) -> RequestRecord:
    known = {"status": 200, "seconds": 0.0567, "is_cold": False, "parent": None, "cost": None}
    return RequestRecord("POST", "/x", "/x", "http", "", started_at=0, times=times, **{**known, **fields})


def parse_timing(header: str) -> dict[str, str]:
    """Return the parameters of each metric by its name."""
    metrics = header.split(", ")
    assert all(METRIC.fullmatch(metric) for metric in metrics), header
    return dict(metric.split(";", 1) for metric in metrics)


def stages_of(header: str) -> set[str]:
    """Return the names of the metrics that are stages."""
    return set(parse_timing(header)) - {"total", "instance", "cost"}


def read_log() -> io.StringIO:
    """Return the log from now on. Starts the services first, because they configure the logger."""
    services()
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    logging.getLogger("lookalike").addHandler(handler)
    return handler.stream


def lines_of(output: io.StringIO, message: str = "Request") -> list[dict[str, Any]]:
    """Return the lines of a log with that message."""
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    return [line for line in lines if line["message"] == message]


def test_header_has_milliseconds_in_the_order_of_the_stages() -> None:
    times = StageTimes(iter((0.0, 0.001, 0.0035, 0.0045)).__next__)
    detect = times.enter(Stage.DETECT)
    queue = times.enter(Stage.QUEUE)
    times.leave(queue)
    times.leave(detect)
    header = server_timing(make_record(times, is_cold=True))
    assert header == "queue;dur=2.5, detect;dur=2.0, total;dur=56.7, instance;desc=cold"
    parse_timing(header)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.000012345, "0.0000123"), (0.0, "0"), (12.3456, "12.3"), (4.0315e-7, "0.000000403"), (1234.5, "1230")],
)
def test_header_has_the_cost_without_an_exponent(amount: float, text: str) -> None:
    header = server_timing(make_record(StageTimes(), cost=Cost(amount, "USD")))
    assert header == f'total;dur=56.7, instance;desc=warm, cost;desc="{text} USD"'
    parse_timing(header)


def test_upload_and_search_have_their_stages(client: Client, admin: dict[str, str]) -> None:
    uploaded = upload_photo(client, admin, image_name="one")
    expected = {"job", "claim", "decode", "queue", "detect", "embed", "encode", "store"}
    assert stages_of(uploaded.headers["Server-Timing"]) == expected
    found = search_photo(client, segment=True).headers["Server-Timing"]
    assert stages_of(found) == {"job", "decode", "queue", "detect", "embed", "search", "rows", "pictures"}
    whole = search_photo(client, include="none").headers["Server-Timing"]
    assert "detect" not in stages_of(whole) and "queue" in stages_of(whole)
    body = {"image_base64": encode_base64(PHOTO)}
    split = client("upload").post("/split_image", json=body)
    assert stages_of(split.headers["Server-Timing"]) == {"job", "decode", "queue", "detect", "encode"}
    thumbnail = client("detail").get("/thumbnails/one_segment_0")
    assert stages_of(thumbnail.headers["Server-Timing"]) == {"rows", "pictures"}


def test_stages_are_within_the_total(client: Client, admin: dict[str, str]) -> None:
    upload_photo(client, admin)
    metrics = parse_timing(search_photo(client, segment=True).headers["Server-Timing"])
    seconds = {name: float(value.removeprefix("dur=")) for name, value in metrics.items() if value.startswith("dur=")}
    total = seconds.pop("total")
    # each is rounded to 0.1 ms
    assert 0 < sum(seconds.values()) <= total + 0.1 * len(seconds)


@pytest.mark.parametrize("function", FUNCTION_NAMES)
def test_every_answer_of_a_function_has_the_header(client: Client, function: str) -> None:
    for response in (
        client(function).get("/healthz"),
        client(function).get("/docs"),
        client(function).get("/nothing"),
        client(function).post("/healthz"),
        client(function).options("/readyz"),
        client(function).options("/nothing"),
        client(function).get("/readyz", headers={"Authorization": "Basic x"}),
    ):
        assert {"total", "instance"} <= parse_timing(response.headers["Server-Timing"]).keys(), response.status


def test_errors_have_the_stages_before_them(client: Client, real: Services) -> None:
    broken = search_photo(client, b"no image")
    assert broken.status_code == 400 and stages_of(broken.headers["Server-Timing"]) == {"job", "decode"}
    real.lazy_values["search"] = None
    unexpected = search_photo(client)
    assert unexpected.status_code == 500 and stages_of(unexpected.headers["Server-Timing"]) == {"job"}


def test_answer_with_invalid_settings_has_the_header(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCURRENCY", "none")
    services.cache_clear()
    response = client("detail").get("/splitted_images/x")
    assert response.status_code == 500 and parse_timing(response.headers["Server-Timing"])["instance"] == "desc=cold"


def test_files_of_the_gateway_have_the_header(real: Services) -> None:
    log = read_log()
    gateway = WsgiClient(Gateway(FUNCTIONS_FOLDER))
    paths = {
        "/": "/",
        "/web/style.css": "/web/<path>",
        "/bucket/none": "/bucket/<path>",
        "/openapi.json": "/openapi.json",
        "/nothing/secret": None,
        "/relay_image": "/relay_image",
    }
    for path in paths:
        assert "total" in parse_timing(gateway.get(path).headers["Server-Timing"])
    lines = lines_of(log)
    assert [line.get("route") for line in lines] == list(paths.values())
    assert len({line["request_id"] for line in lines}) == len(paths)


def test_first_request_after_the_health_checks_is_cold(client: Client) -> None:
    log = read_log()
    relay = client("relay")
    headers = [relay.get(path).headers["Server-Timing"] for path in ("/readyz", "/docs", "/docs", "/healthz")]
    states = [parse_timing(header)["instance"] for header in headers]
    assert states == ["desc=cold", "desc=cold", "desc=warm", "desc=warm"]
    cold, warm = lines_of(log)
    assert cold["cold"] is True and cold["start_seconds"] > 0
    assert warm["cold"] is False and "start_seconds" not in warm


def test_each_request_logs_one_line_with_its_stages(client: Client, admin: dict[str, str]) -> None:
    upload_photo(client, admin, image_name="one")
    log = read_log()
    response = client("detail").get("/splitted_images/one_segment_0", headers={**admin, "X-Request-Id": "mine"})
    (line,), output = lines_of(log), log.getvalue()
    assert (line["severity"], line["method"], line["status"], line["request_id"]) == ("INFO", "GET", 200, "mine")
    assert line["route"] == "/splitted_images/<id>" and line["cold"] is False
    assert line["stages"].keys() == stages_of(response.headers["Server-Timing"]) == {"rows"}
    assert line["seconds"] >= line["stages"]["rows"] and "cost" not in line
    assert "one_segment_0" not in output and admin["Authorization"].split()[1] not in output


def test_log_names_the_trace_of_the_caller(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the request is refused before its body is read."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "shop")
    services.cache_clear()
    log = read_log()
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    assert client("upload").post("/upload_image", headers=headers).status_code == 401
    (line,) = lines_of(log)
    assert line["logging.googleapis.com/trace"] == f"projects/shop/traces/{trace}" and line["trace_id"] == trace


def test_cost_is_estimated_with_prices(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PRICES.items():
        monkeypatch.setenv(name, value)
    services.cache_clear()
    log = read_log()
    response = client("detail").get("/splitted_images/x")
    (line,) = lines_of(log)
    # (2 × 0.25 + 4 × 0.125) EUR for each second, and 3 EUR for the request
    assert line["cost"] == pytest.approx(line["seconds"] + 3, abs=0.01) and line["currency"] == "EUR"
    amount = re.fullmatch(r'desc="(3\.?\d*) EUR"', parse_timing(response.headers["Server-Timing"])["cost"])
    assert amount and float(amount[1]) == pytest.approx(line["cost"], rel=0.01)


def test_cost_is_absent_without_prices(client: Client) -> None:
    assert "cost" not in parse_timing(client("detail").get("/splitted_images/x").headers["Server-Timing"])


def test_browsers_may_read_the_header_of_allowed_origins(client: Client) -> None:
    detail = client("detail")
    allowed = detail.get("/splitted_images/x", headers={"Origin": LOCAL_ORIGIN})
    assert "Server-Timing" in allowed.headers["Access-Control-Expose-Headers"].split(", ")
    assert allowed.headers["Timing-Allow-Origin"] == LOCAL_ORIGIN
    other = detail.get("/splitted_images/x", headers={"Origin": "https://evil.example"})
    assert "Timing-Allow-Origin" not in other.headers


def test_telemetry_gets_every_request_except_health_checks(client: Client, real: Services) -> None:
    telemetry = real.lazy_values["telemetry"] = FakeTelemetry()
    detail, trace = client("detail"), "0af7651916cd43dd8448eb211c80319c"
    detail.get("/healthz")
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "User-Agent": "shop"}
    detail.get("/splitted_images/x?token=secret", headers=headers)
    (record,) = telemetry.records
    assert (record.method, record.route, record.path) == ("GET", "/splitted_images/<id>", "/splitted_images/x")
    assert (record.status, record.scheme, record.user_agent) == (404, "http", "shop")
    assert record.parent == TraceParent(trace, "b7ad6b7169203331", True)
    assert [interval.stage for interval in record.times.intervals] == [Stage.ROWS] and "secret" not in repr(record)


def test_log_names_the_trace_that_telemetry_began(client: Client, real: Services) -> None:
    log = read_log()
    real.lazy_values["telemetry"] = FakeTelemetry()
    client("detail").get("/splitted_images/x")
    (line,) = lines_of(log)
    assert line["trace_id"] == "1".zfill(32)


def test_request_is_answered_if_telemetry_fails(client: Client, real: Services) -> None:
    log = read_log()
    real.lazy_values["telemetry"] = FakeTelemetry(is_broken=True)
    response = client("detail").get("/splitted_images/x")
    assert response.status_code == 404 and "Server-Timing" in response.headers
    assert len(lines_of(log)) == len(lines_of(log, "The request could not be recorded in telemetry")) == 1


def test_log_line_of_an_error_has_its_code(client: Client) -> None:
    output = read_log()
    assert client("detail").get("/splitted_images/nothing").status_code == 404
    assert client("detail").get("/nothing").status_code == 404
    assert client("relay").get("/search").status_code == 405
    errors = [(line["status"], line["error"]) for line in lines_of(output)]
    assert errors == [(404, "not_found"), (404, "not_found"), (405, "method_not_allowed")]
    search_photo(client)
    assert "error" not in lines_of(output)[-1]

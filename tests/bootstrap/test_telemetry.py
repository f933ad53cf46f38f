"""When OpenTelemetry is started: only if the standard variables name a receiver and the packages are installed."""

import subprocess
import sys

import google.auth
import pytest
from google.auth.exceptions import DefaultCredentialsError
from google.auth.transport.requests import AuthorizedSession
from google.oauth2.credentials import Credentials
from opentelemetry.sdk import environment_variables

from lookalike.bootstrap.telemetry import is_exported, open_session, open_telemetry
from lookalike.settings import read_settings
from tests.conftest import FUNCTIONS_FOLDER

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
URL = "http://collector:4318"
GOOGLE = "https://telemetry.googleapis.com/v1/traces"
REQUESTS = """
import sys
from lookalike.local.gateway import load_function
from pathlib import Path
client = load_function("detail", Path(sys.argv[1])).test_client()
assert client.get("/splitted_images/x").status_code == 404
print(sorted({name.partition(".")[0] for name in sys.modules if name.startswith(("opentelemetry", "requests"))}))
"""
"""A request to a function, and which packages it imported."""


@pytest.mark.parametrize(
    ("variables", "traces", "metrics"),
    [
        ({}, False, False),
        ({ENDPOINT: ""}, False, False),
        ({ENDPOINT: URL}, True, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": URL}, True, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": URL}, False, True),
        ({ENDPOINT: URL, "OTEL_SDK_DISABLED": "True"}, False, False),
        ({ENDPOINT: URL, "OTEL_SDK_DISABLED": "false"}, True, True),
        ({ENDPOINT: URL, "OTEL_TRACES_EXPORTER": "none"}, False, True),
        ({ENDPOINT: URL, "OTEL_METRICS_EXPORTER": "otlp,console"}, True, True),
        ({ENDPOINT: URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True, True),
        ({ENDPOINT: URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, False, False),
        ({ENDPOINT: URL, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"}, True, False),
    ],
)
def test_signals_are_sent_as_the_variables_say(variables: dict[str, str], traces: bool, metrics: bool) -> None:
    assert (is_exported("TRACES", variables), is_exported("METRICS", variables)) == (traces, metrics)


def test_unsupported_protocol_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert open_telemetry("x", (), {ENDPOINT: URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) is None
    assert "only http/protobuf is supported" in caplog.text


def test_nothing_is_started_without_an_endpoint(caplog: pytest.LogCaptureFixture) -> None:
    assert open_telemetry("x", (), {"OTEL_SERVICE_NAME": "shop"}) is None and not caplog.records


def test_missing_packages_are_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    # None makes the import system report a package as missing
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "lookalike.adapters.telemetry", raising=False)
    assert open_telemetry("x", (), {ENDPOINT: URL}) is None
    assert "install lookalike[otel]" in caplog.text


def test_invalid_variable_is_logged_and_requests_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, URL)
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    assert open_telemetry("x", ()) is None
    assert "check the variables OTEL_*" in caplog.text


def test_invalid_headers_are_reported_without_their_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer s3cret")
    telemetry = open_telemetry("x", ())
    assert telemetry is not None
    telemetry.shut_down()
    log = capsys.readouterr().err
    assert "OTEL_EXPORTER_OTLP_HEADERS is invalid" in log and "s3cret" not in log


def test_only_traces_to_google_are_sent_with_the_credentials_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google.auth, "default", lambda scopes: (Credentials("secret"), "shop"))
    session = open_session({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": GOOGLE})
    assert isinstance(session, AuthorizedSession) and session.credentials.token == "secret"
    assert open_session({ENDPOINT: GOOGLE}) is not None
    others = ("https://telemetry.googleapis.com.example.org", "https://example.org/telemetry.googleapis.com", URL, "")
    assert [open_session({ENDPOINT: address}) for address in others] == [None] * len(others)


def test_missing_google_credentials_are_logged_and_requests_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(scopes: object) -> None:
        raise DefaultCredentialsError("none found")

    monkeypatch.setattr(google.auth, "default", fail)
    assert open_telemetry("x", (), {ENDPOINT: GOOGLE}) is None
    assert "OpenTelemetry could not be started" in caplog.text


@pytest.mark.parametrize("has_endpoint", [False, True])
def test_opentelemetry_is_imported_only_with_an_endpoint(
    home: object, monkeypatch: pytest.MonkeyPatch, has_endpoint: bool
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    if has_endpoint:
        monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    command = [sys.executable, "-c", REQUESTS, str(FUNCTIONS_FOLDER)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ("['opentelemetry', 'requests']" if has_endpoint else "[]")


def test_standard_variables_are_not_mistaken_for_settings(home: object) -> None:
    names = [name for name in vars(environment_variables) if name.startswith("OTEL_")]
    assert ENDPOINT in names and len(names) > 50
    assert read_settings(dict.fromkeys(names, "x")).port == 5001

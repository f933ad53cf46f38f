"""Start OpenTelemetry if the standard variables `OTEL_*` ask for it.

The variables are read from the environment only, and not from `.env`: the OpenTelemetry SDK reads them itself.
"""

import atexit
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import lookalike
from lookalike import logs
from lookalike.domain.ports import Gauges, Telemetry

if TYPE_CHECKING:
    from requests import Session

log = logging.getLogger("lookalike.bootstrap")
PROTOCOL = "http/protobuf"
"""The protocol of the exporter that the extra `[otel]` installs."""

GOOGLE_RECEIVER = "telemetry.googleapis.com"
"""Host that receives traces for Cloud Trace."""
TRACES_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

HEADER_PARSER = "opentelemetry.util.re"
"""Logger of the function that parses OTEL_EXPORTER_OTLP_HEADERS."""


def open_telemetry(service: str, gauges: Gauges, environment: Mapping[str, str] = os.environ) -> Telemetry | None:
    """Start to send traces and metrics, or return `None` if no variable names a receiver.

    `service` is the name of the service unless OTEL_SERVICE_NAME sets another. Never raises: requests are answered
    without telemetry, too.
    """
    has_traces, has_metrics = (is_exported(signal, environment) for signal in ("TRACES", "METRICS"))
    if not (has_traces or has_metrics):
        return None
    try:
        from lookalike.adapters.telemetry import OtlpTelemetry
    except ImportError:
        log.warning("OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is missing: install lookalike[otel]")
        return None
    try:
        # the SDK logs failed exports
        logs.add_json_handler("opentelemetry")
        logging.getLogger(HEADER_PARSER).addFilter(hide_header)
        session = open_session(environment) if has_traces else None
        telemetry = OtlpTelemetry(service, lookalike.__version__, gauges, has_traces, has_metrics, session)
    except Exception:
        # Mostly a variable with an invalid value. A system that cannot be measured must serve all the same.
        log.exception("OpenTelemetry could not be started: check the variables OTEL_*")
        return None
    atexit.register(telemetry.shut_down)
    return telemetry


def open_session(environment: Mapping[str, str]) -> "Session | None":
    """Return a session with Google's credentials if the traces go to Google Cloud, whose tokens last an hour only.

    Raises Google's `DefaultCredentialsError`.
    """
    if urlsplit(_read(environment, *TRACES_ENDPOINTS)).hostname != GOOGLE_RECEIVER:
        return None
    from lookalike.adapters.google_session import open_google_session

    return open_google_session()


def hide_header(record: logging.LogRecord) -> bool:
    """Replace a message about an invalid header: the SDK would log its value, which can be a secret."""
    record.msg, record.args = "OTEL_EXPORTER_OTLP_HEADERS is invalid: write name=value, with the value URL-encoded", ()
    return True


def is_exported(signal: str, environment: Mapping[str, str]) -> bool:
    """Return whether the variables ask to send this signal, "TRACES" or "METRICS".

    See https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
    """
    exporters = _read(environment, f"OTEL_{signal}_EXPORTER") or "otlp"
    endpoint = _read(environment, f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if not endpoint or _read(environment, "OTEL_SDK_DISABLED") == "true" or "otlp" not in exporters.split(","):
        return False
    protocol = _read(environment, f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL") or PROTOCOL
    if protocol != PROTOCOL:
        log.warning("OTEL_EXPORTER_OTLP_PROTOCOL is %s; only %s is supported", protocol, PROTOCOL)
    return protocol == PROTOCOL


def _read(environment: Mapping[str, str], *names: str) -> str:
    """Return the first variable that is not empty, in lower case."""
    return next((value for name in names if (value := environment.get(name, "").strip().lower())), "")

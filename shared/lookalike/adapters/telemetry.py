"""Traces and metrics by OpenTelemetry, sent with OTLP over HTTP.

The SDK reads the standard variables `OTEL_*` itself: address, headers, sampling, intervals and resource attributes.
Names and attributes follow the semantic conventions for HTTP servers:
https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and
https://opentelemetry.io/docs/specs/semconv/http/http-metrics/.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, MeterProvider, NoOpMeterProvider, Observation
from opentelemetry.sdk.metrics import MeterProvider as SdkMeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    NoOpTracerProvider,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TracerProvider,
    set_span_in_context,
)

from lookalike.domain.ports.telemetry import SHUTDOWN_SECONDS, Gauge, Gauges, RequestRecord, TraceParent
from lookalike.domain.stage_times import StageInterval

if TYPE_CHECKING:
    from requests import Session

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
"""Methods that the conventions know. Others become `_OTHER`: clients must not create any number of time series."""
REQUEST_BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Histogram boundaries in seconds that the conventions advise."""
STAGE_BOUNDARIES = (0.0005, 0.001, 0.0025, *REQUEST_BOUNDARIES)
Attributes = Mapping[str, str | int | float | bool]


class OtlpTelemetry:
    """Sends traces, metrics or both to an OTLP receiver, from threads of its own.

    Create it after the fork of the server's workers: threads do not survive a fork.
    """

    def __init__(
        self,
        service: str,
        version: str,
        gauges: Gauges,
        has_traces: bool,
        has_metrics: bool,
        session: "Session | None" = None,
    ) -> None:
        """`session` sends the traces, if their receiver needs credentials that no variable can have."""
        resource = _describe_process(service, version)
        self._traces = _open_traces(resource, session) if has_traces else NoOpTracerProvider()
        self._metrics = _open_metrics(resource) if has_metrics else NoOpMeterProvider()
        self._tracer = self._traces.get_tracer("lookalike", version)
        meter = self._metrics.get_meter("lookalike", version)
        self._request_duration = meter.create_histogram(
            "http.server.request.duration",
            "s",
            "Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=REQUEST_BOUNDARIES,
        )
        self._stage_duration = meter.create_histogram(
            "lookalike.request.stage.duration",
            "s",
            "Duration of the stages of requests.",
            explicit_bucket_boundaries_advisory=STAGE_BOUNDARIES,
        )
        for gauge in gauges:
            meter.create_observable_gauge(gauge.name, [_observe(gauge)], gauge.unit, gauge.description)

    def record(self, request: RequestRecord) -> str:
        """Record a request with its stages. Returns its trace id, 32 hexadecimal digits, or "" without traces."""
        method = request.method if request.method in METHODS else "_OTHER"
        attributes = _request_attributes(request, method)
        span = self._record_spans(request, method, attributes)
        # the context links an example of a trace to the metrics
        context = set_span_in_context(span)
        self._request_duration.record(request.seconds, attributes, context)
        for stage, seconds in request.times.seconds().items():
            stage_attributes = {"lookalike.stage": str(stage), "http.route": request.route}
            self._stage_duration.record(seconds, stage_attributes, context)
        trace = span.get_span_context()
        return f"{trace.trace_id:032x}" if trace.is_valid else ""

    def _record_spans(self, request: RequestRecord, method: str, attributes: Attributes) -> Span:
        def moment(clock: float) -> int:
            return request.started_at + round((clock - request.times.start) * 1e9)

        name = method if method != "_OTHER" else "HTTP"
        parent = set_span_in_context(_remote_span(request.parent)) if request.parent else None
        server = self._tracer.start_span(
            f"{name} {request.route}".rstrip(),
            parent,
            SpanKind.SERVER,
            {**attributes, **_span_attributes(request, method)},
            start_time=request.started_at,
        )
        spans: dict[StageInterval | None, Span] = {None: server}
        for interval in request.times.intervals:
            context = set_span_in_context(spans[interval.parent])
            spans[interval] = self._tracer.start_span(interval.stage, context, start_time=moment(interval.start))
            spans[interval].end(moment(interval.end))
        if request.status >= 500:
            server.set_status(Status(StatusCode.ERROR))
        server.end(request.started_at + round(request.seconds * 1e9))
        return server

    def shut_down(self) -> None:
        """Send what is not sent yet, for at most `SHUTDOWN_SECONDS`. Further records are ignored."""
        milliseconds = int(SHUTDOWN_SECONDS * 1000)
        calls: list[Callable[[], object]] = []
        if isinstance(self._traces, SdkTracerProvider):
            calls.append(self._traces.shutdown)
        if isinstance(metrics := self._metrics, SdkMeterProvider):
            calls.append(lambda: metrics.shutdown(milliseconds))
        # In threads, because the shutdown of traces has no time limit of its own that fits.
        threads = [threading.Thread(target=call, name="telemetry-shutdown", daemon=True) for call in calls]
        end = time.monotonic() + SHUTDOWN_SECONDS
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def _describe_process(service: str, version: str) -> Resource:
    # The instance id keeps the metrics of concurrent instances apart.
    names = {"service.name": service, "service.version": version, "service.instance.id": str(uuid.uuid4())}
    # from OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, over which the arguments of `create` would have precedence
    configured = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in names.items() if name not in configured})


def _open_traces(resource: Resource, session: "Session | None") -> TracerProvider:
    provider = SdkTracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(session=session)))
    return provider


def _open_metrics(resource: Resource) -> MeterProvider:
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    return SdkMeterProvider([reader], resource, shutdown_on_exit=False)


def _observe(gauge: Gauge) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def read(options: CallbackOptions) -> Iterable[Observation]:
        value = gauge.read()
        return [] if value is None else [Observation(value)]

    return read


def _remote_span(parent: TraceParent) -> Span:
    flags = TraceFlags(TraceFlags.SAMPLED if parent.is_sampled else TraceFlags.DEFAULT)
    return NonRecordingSpan(SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, flags))


def _request_attributes(request: RequestRecord, method: str) -> Attributes:
    """Return the attributes of the span and of the metric, which have few different values."""
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "http.response.status_code": request.status,
        "url.scheme": request.scheme,
    }
    if request.route:
        attributes["http.route"] = request.route
    if request.status >= 500:
        attributes["error.type"] = str(request.status)
    return attributes


def _span_attributes(request: RequestRecord, method: str) -> Attributes:
    attributes: dict[str, str | bool] = {
        "url.path": request.path,
        "user_agent.original": request.user_agent,
        "faas.coldstart": request.is_cold,
    }
    if method == "_OTHER":
        attributes["http.request.method_original"] = request.method
    return {name: value for name, value in attributes.items() if value != ""}

"""Receiver of OpenTelemetry traces and metrics: OTLP over HTTP, as a collector receives them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

MESSAGES: dict[str, Callable[[], Any]] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


@dataclass
class OtlpReceiver:
    """A running receiver, and what it has received."""

    url: str
    status: int = 200
    traces: list[Any] = field(default_factory=list)
    metric_exports: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    """Headers of each request."""

    @property
    def environment(self) -> dict[str, str]:
        """The standard variables that send everything to this receiver, without waiting for a full batch."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}

    @property
    def spans(self) -> list[Span]:
        """All spans."""
        groups = [group for export in self.traces for group in export.resource_spans]
        return [span for group in groups for scope in group.scope_spans for span in scope.spans]

    @property
    def metrics(self) -> dict[str, Metric]:
        """The latest state of each metric by its name."""
        groups = [group for export in self.metric_exports for group in export.resource_metrics]
        return {metric.name: metric for group in groups for scope in group.scope_metrics for metric in scope.metrics}

    @property
    def resources(self) -> list[Resource]:
        """The resource of each export."""
        traces = [group.resource for export in self.traces for group in export.resource_spans]
        return traces + [group.resource for export in self.metric_exports for group in export.resource_metrics]


def attributes(pairs: Any) -> dict[str, Any]:
    """Return attributes as a dictionary."""

    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in pairs}


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Run a receiver inside the context."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = MESSAGES[self.path]()
            message.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.headers.append(dict(self.headers))
            (receiver.traces if self.path == "/v1/traces" else receiver.metric_exports).append(message)
            self.send_response(receiver.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = OtlpReceiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()

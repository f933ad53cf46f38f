"""Logs as JSON lines, as Cloud Logging reads them, each with the id of its request and its trace."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str] = ContextVar("request_id", default="")
trace: ContextVar[str] = ContextVar("trace", default="")
"""`projects/<project>/traces/<id>`, which groups what one request logged."""

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "request_id": request_id.get() or None,
            "logging.googleapis.com/trace": trace.get() or None,
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in line.items() if value is not None}, default=str)


def start(level: str) -> None:
    """Log to stderr from `level` on. functions-framework drops INFO otherwise."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("lookalike")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)


def begin(request: str, cloud_trace: str, project: str) -> None:
    """What is logged from here on belongs to that request; `cloud_trace` is its header X-Cloud-Trace-Context."""
    request_id.set(request)
    trace_id = cloud_trace.partition("/")[0]
    trace.set(f"projects/{project}/traces/{trace_id}" if trace_id.isalnum() and project else "")

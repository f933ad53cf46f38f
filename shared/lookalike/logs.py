"""Structured logs: JSON lines in the format of Cloud Logging, each with request id and trace."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that the current thread handles."""
trace: ContextVar[str] = ContextVar("trace", default="")
"""`projects/<project>/traces/<id>`: Cloud Logging groups a request's lines by it."""

_STANDARD_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; keys passed as `extra` become fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without fields that are None."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "severity": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "request_id": request_id.get() or None,
            "logging.googleapis.com/trace": trace.get() or None,
            **{key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in line.items() if value is not None}, default=str)


def configure_logging(level: str) -> None:
    """Log to stderr from `level` up."""
    add_json_handler("lookalike").setLevel(level)


def add_json_handler(name: str) -> logging.Logger:
    """Log what a logger receives to stderr as JSON lines, and return the logger."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger(name)
    # functions-framework configures the root logger to drop INFO, so this logger does not propagate to it
    logger.handlers, logger.propagate = [handler], False
    return logger


def set_request_context(request: str, trace_id: str, project: str) -> None:
    """Attach a request id and a trace to all further log lines of this thread."""
    request_id.set(request)
    trace.set(f"projects/{project}/traces/{trace_id}" if trace_id.isalnum() and project else "")

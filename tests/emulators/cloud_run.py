"""Emulator of the jobs of the Cloud Run Admin API, version 2. Tasks end one after the other, one with each request."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RUN = re.compile(r"/v2/(projects/[\w-]+/locations/[\w-]+/jobs/[\w-]+):run")
EXECUTION = re.compile(r"/v2/(projects/[\w-]+/locations/[\w-]+/jobs/[\w-]+/executions/[\w-]+)")
OVERRIDES = {"containerOverrides", "taskCount", "timeout"}
CONTAINER_OVERRIDES = {"name", "args", "env", "clearArgs"}
"""The fields of the API. It rejects others."""


@dataclass
class CloudRun:
    """A running emulator.

    `jobs`: default number of tasks by full name. `statuses`: error statuses of the next requests. `failing`: indexes of
    tasks that fail, for each execution. `started`: overrides of all executions.
    """

    jobs: dict[str, int]
    statuses: list[int] = field(default_factory=list)
    failing: set[int] = field(default_factory=set)
    started: list[dict[str, Any]] = field(default_factory=list)
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    url: str = ""

    def run(self, job: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Start an execution and return the operation."""
        overrides = body.get("overrides", {})
        containers = overrides.get("containerOverrides", [])
        unknown = [set(body) - {"overrides", "etag", "validateOnly"}, set(overrides) - OVERRIDES]
        unknown += [set(container) - CONTAINER_OVERRIDES for container in containers]
        if any(unknown):
            return 400, error(400, f"Invalid JSON payload received. Unknown names {unknown}")
        if job not in self.jobs:
            return 404, error(404, f"Resource '{job}' of kind 'JOB' does not exist.")
        name = f"{job}/executions/{job.rpartition('/')[2]}-{len(self.executions) + 1:05}"
        tasks = overrides.get("taskCount", self.jobs[job])
        self.started.append(overrides)
        condition = {"type": "Completed", "state": "CONDITION_PENDING"}
        state = {"name": name, "taskCount": tasks, "conditions": [condition], "logUri": "https://console.example/log"}
        self.executions[name] = state
        return 200, {"name": "projects/p/locations/r/operations/1", "metadata": dict(state)}

    def read(self, name: str) -> tuple[int, Any]:
        """Return an execution, after one more of its tasks has ended."""
        state = self.executions.get(name)
        if state is None:
            return 404, error(404, f"Resource '{name}' of kind 'EXECUTION' does not exist.")
        ended = state.get("succeededCount", 0) + state.get("failedCount", 0)
        if ended < state["taskCount"]:
            count = "failedCount" if ended in self.failing else "succeededCount"
            state[count] = state.get(count, 0) + 1
            state["runningCount"] = state["taskCount"] - ended - 1
        elif "completionTime" not in state:
            state["completionTime"] = "2026-11-29T00:00:00Z"
            has_failed = "failedCount" in state
            message = "Task lookalike-ingest-task1 failed with message: exit status 1" if has_failed else ""
            condition = {"type": "Completed", "state": f"CONDITION_{'FAILED' if has_failed else 'SUCCEEDED'}"}
            state["conditions"] = [{**condition, "message": message}]
        return 200, {key: value for key, value in state.items() if value != 0}


def error(status: int, message: str) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"code": status, "message": message}}


class Handler(BaseHTTPRequestHandler):
    """Responds to requests."""

    server: "Server"

    def do_POST(self) -> None:
        """Start an execution."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match = RUN.fullmatch(self.path)
        self._respond(lambda: self.server.cloud_run.run(match[1], body) if match else (404, error(404, "Not found")))

    def do_GET(self) -> None:
        """Return an execution."""
        match = EXECUTION.fullmatch(self.path)
        self._respond(lambda: self.server.cloud_run.read(match[1]) if match else (404, error(404, "Not found")))

    def _respond(self, answer: Any) -> None:
        statuses = self.server.cloud_run.statuses
        status, body = (statuses[0], error(statuses.pop(0), "Try again")) if statuses else answer()
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """The server of an emulator."""

    daemon_threads = True
    cloud_run: CloudRun


@contextmanager
def emulate_cloud_run(jobs: dict[str, int]) -> Iterator[CloudRun]:
    """Run an emulator on a free port. `jobs`: default number of tasks by full name."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.cloud_run = CloudRun(jobs, url=f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.cloud_run
        server.shutdown()

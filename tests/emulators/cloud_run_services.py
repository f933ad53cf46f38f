"""Emulator of services of the Cloud Run Admin API, version 2, of their traffic, and of its metric in Cloud Monitoring.

The revisions are real WSGI applications behind real ports: one for each tag, and one for each service, where requests are
shared among the revisions as the traffic says.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from werkzeug.serving import WSGIRequestHandler, make_server

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]
SERVICE = re.compile(r"/v2/projects/shop/locations/europe-west1/services/([\w-]+)")
SERIES = "/v3/projects/shop/timeSeries"
FILTER = re.compile(
    r'metric.type="run.googleapis.com/request_count" AND resource.labels.location="europe-west1"'
    r' AND resource.labels.service_name="(.+)" AND resource.labels.revision_name="(.+)"'
)


class SilentHandler(WSGIRequestHandler):
    """Does not log."""

    def log(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(application: WsgiApp) -> Iterator[str]:
    """Serve a WSGI application on a free port and yield its address."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=SilentHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class EmulatedRevision:
    """A revision with its requests by class of the status, such as `2xx`."""

    name: str
    application: WsgiApp
    is_ready: bool = True
    url: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        def start(status: str, *arguments: Any) -> Any:
            self.counts[f"{status[0]}xx"] += 1
            return start_response(status, *arguments)

        return self.application(environ, start)


@dataclass
class EmulatedService:
    """A service. Requests are shared among the revisions in turn."""

    name: str
    revisions: list[EmulatedRevision] = field(default_factory=list)
    traffic: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    etag: int = 1
    _requests: int = 0

    @property
    def newest_ready(self) -> EmulatedRevision | None:
        """The newest revision that is ready."""
        return next((revision for revision in reversed(self.revisions) if revision.is_ready), None)

    def revision(self, name: str) -> EmulatedRevision:
        """Return a revision."""
        return next(revision for revision in self.revisions if revision.name == name)

    def shares(self) -> dict[str, int]:
        """Return the percentage of each revision with traffic."""
        newest = self.newest_ready.name if self.newest_ready else ""
        pairs = [(target.get("revision") or newest, target["percent"]) for target in self.traffic]
        return {name: percent for name, percent in pairs if percent}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        # 37 has no common divisor with 100: each hundred requests are shared exactly, and mixed
        place = self._requests * 37 % 100
        self._requests += 1
        for name, percent in self.shares().items():
            if place < percent:
                return self.revision(name)({**environ, "emulator.public": True}, start_response)
            place -= percent
        raise AssertionError("the traffic is less than 100 percent")

    def to_json(self, path: str) -> dict[str, Any]:
        """Return the resource of the API."""
        newest = self.revisions[-1]
        failed = {"type": "Ready", "state": "CONDITION_FAILED", "message": f"Revision {newest.name} is not ready"}
        ready = {"type": "Ready", "state": "CONDITION_SUCCEEDED"}
        tagged = [target for target in self.traffic if "tag" in target]
        folder = f"{path.removeprefix('/v2/')}/revisions"
        return {
            "name": path.removeprefix("/v2/"),
            "uri": self.url,
            "latestCreatedRevision": f"{folder}/{newest.name}",
            # the API leaves out empty texts
            **({"latestReadyRevision": f"{folder}/{self.newest_ready.name}"} if self.newest_ready else {}),
            "terminalCondition": ready if newest.is_ready else failed,
            # the API leaves out zeros
            "traffic": [{key: value for key, value in target.items() if value} for target in self.traffic],
            "trafficStatuses": [{**target, "uri": self.revision(target["revision"]).url} for target in tagged],
            "etag": f'"{self.etag}"',
        }

    def patch(self, body: dict[str, Any], mask: str) -> tuple[int, Any]:
        """Change the traffic as the API does."""
        if mask != "traffic" or set(body) - {"traffic", "etag"}:
            return 400, error("Only the traffic can be changed here")
        if body.get("etag") not in (None, f'"{self.etag}"'):
            return 409, error("The etag does not match: the service was changed meanwhile")
        names = {revision.name for revision in self.revisions if revision.is_ready}
        if {target["revision"] for target in body["traffic"]} - names:
            return 400, error("A revision does not exist or is not ready")
        if sum(target.get("percent", 0) for target in body["traffic"]) != 100:
            return 400, error("The sum of the traffic must be 100")
        self.traffic, self.etag = body["traffic"], self.etag + 1
        return 200, {"name": "projects/shop/locations/europe-west1/operations/1"}


def error(message: str) -> dict[str, Any]:
    """Return the body of an error."""
    return {"error": {"message": message}}


@dataclass
class CloudRunServices:
    """The emulator. `refused`: names of services whose changes are answered with 403."""

    services: dict[str, EmulatedService] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    changes: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    """Service and shares after each change of traffic."""
    url: str = ""
    _stack: ExitStack = field(default_factory=ExitStack)

    def deploy(self, name: str, application: WsgiApp, is_ready: bool = True) -> EmulatedRevision:
        """Create a revision, and the service if it is missing. A new service sends its traffic to the newest revision."""
        service = self.services.get(name)
        if service is None:
            service = self.services[name] = EmulatedService(name)
            service.traffic = [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]
            service.url = self._stack.enter_context(served(service))
        revision = EmulatedRevision(f"{name}-{len(service.revisions) + 1:05}", application, is_ready)
        revision.url = self._stack.enter_context(served(revision))
        service.revisions.append(revision)
        return revision

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        status, answer = self._answer(environ)
        data = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        start_response(f"{status} -", headers)
        return [data]

    def _answer(self, environ: dict[str, Any]) -> tuple[int, Any]:
        path, query = environ["PATH_INFO"], parse_qs(environ["QUERY_STRING"])
        if environ.get("HTTP_AUTHORIZATION") != "Bearer token":
            return 401, error("The token is wrong")
        if path == SERIES:
            return 200, self._time_series(query)
        match = SERVICE.fullmatch(path)
        service = self.services.get(match[1]) if match else None
        if service is None:
            return 404, error("Not found")
        if environ["REQUEST_METHOD"] == "GET":
            return 200, service.to_json(path)
        if service.name in self.refused:
            return 403, error("Permission denied")
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        status, answer = service.patch(body, query["updateMask"][0])
        self.changes += [(service.name, service.shares())] * (status == 200)
        return status, answer

    def _time_series(self, query: dict[str, list[str]]) -> dict[str, Any]:
        match = FILTER.fullmatch(query["filter"][0])
        assert match and query["interval.startTime"][0] < query["interval.endTime"][0]
        counts = self.services[match[1]].revision(match[2]).counts
        series = [
            {
                "metric": {"labels": {"response_code_class": kind, "response_code": "200"}},
                "points": [{"value": {"int64Value": str(count)}}],
            }
            for kind, count in sorted(counts.items())
        ]
        page = int(query.get("pageToken", ["0"])[0])
        more = {"nextPageToken": str(page + 1)} if page + 1 < len(series) else {}
        return {"timeSeries": series[page : page + 1], **more}


@contextmanager
def emulate_services() -> Iterator[CloudRunServices]:
    """Run the emulator on a free port."""
    emulator = CloudRunServices()
    with emulator._stack, served(emulator) as url:
        emulator.url = url
        yield emulator

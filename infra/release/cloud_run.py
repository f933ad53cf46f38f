"""Services of Cloud Run and their traffic, through the Admin API (version 2) and Cloud Monitoring.

https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.services
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from infra.release.http import Address, RequestFailed, call

REVISION_TYPE = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
SETTLE_SECONDS = 180
"""Longest time until a change of traffic takes effect."""
TOKEN_SECONDS = 240


@dataclass(frozen=True)
class Target:
    """Share of a revision in the traffic of its service. `revision` is its short name."""

    revision: str
    percent: int = 0
    tag: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the traffic target of the API."""
        tag = {"tag": self.tag} if self.tag else {}
        return {"type": REVISION_TYPE, "revision": self.revision, "percent": self.percent, **tag}


@dataclass(frozen=True)
class Service:
    """State of a service."""

    name: str
    uri: str
    newest: str
    """Short name of the revision that was created last."""
    newest_ready: str
    problem: str
    """Why the newest revision is not ready; empty if it is."""
    traffic: tuple[Target, ...]
    tag_uris: dict[str, str]
    etag: str
    is_settled: bool
    follows_newest: bool
    """Whether traffic goes to whatever revision is the newest, as of a service that was just created."""

    @property
    def serving(self) -> str:
        """The revision with most traffic."""
        return max(self.traffic, key=lambda target: target.percent).revision if self.traffic else self.newest_ready

    @property
    def is_new(self) -> bool:
        """Whether the newest revision has no traffic, or only a part of it."""
        return self.newest != self.serving

    def tagged(self, tag: str) -> str:
        """Return the revision with that tag, or an empty string."""
        return next((target.revision for target in self.traffic if target.tag == tag), "")

    def percent_of(self, tag: str) -> int:
        """Return the share of the traffic of the revision with that tag."""
        return sum(target.percent for target in self.traffic if target.tag == tag)


@dataclass(frozen=True)
class Traffic:
    """Requests to a revision, and how many of them got a status from 500 on."""

    requests: int
    errors: int


@cache
def _token_of(_period: int) -> str:
    command = ["gcloud", "auth", "print-access-token"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        raise RequestFailed("gcloud is not installed: https://cloud.google.com/sdk/docs/install") from None
    except subprocess.CalledProcessError as error:
        raise RequestFailed(f"gcloud has no access token. Run `gcloud auth login`. {error.stderr.strip()}") from None


def gcloud_token() -> str:
    """Return an access token of the account of gcloud. Raises `RequestFailed` if there is none."""
    # gcloud takes a second to start, and its tokens are valid for at least five minutes
    return _token_of(int(time.monotonic() // TOKEN_SECONDS))


@dataclass
class CloudRun:
    """Access to the services of one project and region."""

    project: str
    region: str
    token: Callable[[], str] = gcloud_token
    run: Address = field(default_factory=lambda: Address("https://run.googleapis.com"))
    monitoring: Address = field(default_factory=lambda: Address("https://monitoring.googleapis.com"))
    pause: float = 2

    def service(self, name: str) -> Service | None:
        """Return a service, or `None` if it does not exist."""
        try:
            return _to_service(self._call("GET", self.run, self._path(name)))
        except RequestFailed as error:
            if error.status == 404:
                return None
            raise

    def set_traffic(self, name: str, targets: Sequence[Target]) -> Service:
        """Change the traffic of a service and wait until that is in effect. Returns the service.

        Raises `RequestFailed`, also with 409 or 412 if somebody else changed the service meanwhile.
        """
        before = self.service(name)
        if before is None:
            raise RequestFailed(f"There is no service {name}", 404)
        body = {"traffic": [target.to_json() for target in targets], "etag": before.etag}
        self._call("PATCH", self.run, f"{self._path(name)}?updateMask=traffic", body)
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            service = self.service(name)
            if service and service.is_settled and set(service.traffic) == set(targets):
                return service
            time.sleep(self.pause)
        raise RequestFailed(f"The traffic of {name} has not changed after {SETTLE_SECONDS} s")

    def traffic(self, name: str, revision: str, since: datetime) -> Traffic:
        """Return the requests to a revision since that time. Cloud Monitoring has them about three minutes later."""
        conditions = [
            'metric.type="run.googleapis.com/request_count"',
            f'resource.labels.location="{self.region}"',
            f'resource.labels.service_name="{name}"',
            f'resource.labels.revision_name="{revision}"',
        ]
        # a point contains the requests of a minute
        start = since - timedelta(minutes=1)
        query = {
            "filter": " AND ".join(conditions),
            "interval.startTime": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "interval.endTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        counts = {"requests": 0, "errors": 0}
        while True:
            path = f"/v3/projects/{self.project}/timeSeries?{urlencode(query)}"
            answer = self._call("GET", self.monitoring, path) or {}
            for series in answer.get("timeSeries", []):
                count = sum(int(point["value"]["int64Value"]) for point in series["points"])
                counts["requests"] += count
                counts["errors"] += count * (series["metric"]["labels"]["response_code_class"] == "5xx")
            if not (page := answer.get("nextPageToken")):
                return Traffic(**counts)
            query["pageToken"] = page

    def _path(self, name: str) -> str:
        return f"/v2/projects/{self.project}/locations/{self.region}/services/{name}"

    def _call(self, method: str, address: Address, path: str, body: Any = None) -> Any:
        return call(method, address, path, body, {"Authorization": f"Bearer {self.token()}"})


def _to_service(answer: dict[str, Any]) -> Service:
    newest, ready = (_short(answer.get(key, "")) for key in ("latestCreatedRevision", "latestReadyRevision"))
    condition = answer.get("terminalCondition", {})
    statuses = answer.get("trafficStatuses", [])
    targets = [
        Target(target.get("revision") or ready, target.get("percent", 0), target.get("tag", ""))
        for target in answer.get("traffic", [])
    ]
    is_ready = newest == ready
    return Service(
        name=_short(answer["name"]),
        uri=answer.get("uri", ""),
        newest=newest,
        newest_ready=ready,
        problem="" if is_ready else condition.get("message") or f"{newest} is not ready",
        traffic=tuple(targets),
        tag_uris={status["tag"]: status["uri"] for status in statuses if status.get("tag") and status.get("uri")},
        etag=answer.get("etag", ""),
        is_settled=not answer.get("reconciling", False),
        follows_newest=not targets or any(not target.get("revision") for target in answer.get("traffic", [])),
    )


def _short(name: str) -> str:
    return name.rpartition("/")[2]

"""The steps of a release: check new revisions by their tags, then move the traffic to them in two steps."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from infra.release.check import Check, CheckFailed
from infra.release.cloud_run import CloudRun, Service, Target
from infra.release.http import Address, RequestFailed

CANDIDATE, PREVIOUS = "candidate", "previous"
"""Tags of the revision that is checked, and of the one before a release."""
PUBLIC = ("upload", "relay", "detail", "cancel", "auth")
PRIVATE = ("ingest", "reindex")
"""Functions that cannot be called from outside. Their startup probe has checked models, database and index."""
FIRST_PERCENT = 10


class ReleaseFailed(Exception):
    """The revisions of before serve all traffic."""


@dataclass(frozen=True)
class Change:
    """A service whose newest revision does not serve yet."""

    service: Service

    @property
    def name(self) -> str:
        """Name of the service."""
        return self.service.name

    def split(self, percent: int) -> list[Target]:
        """Return the traffic with so many percent for the new revision, which keeps its tag."""
        new = Target(self.service.newest, percent, CANDIDATE)
        return [new] if percent == 100 else [Target(self.service.serving, 100 - percent), new]

    def done(self) -> list[Target]:
        """Return the traffic after the release. The revision of before can be returned to."""
        return [Target(self.service.newest, 100), Target(self.service.serving, 0, PREVIOUS)]

    def undone(self) -> list[Target]:
        """Return the traffic of before the release."""
        kept = self.service.tagged(PREVIOUS)
        earlier = [Target(kept, 0, PREVIOUS)] if kept and kept != self.service.serving else []
        return [Target(self.service.serving, 100), *earlier]


@dataclass
class Rollout:
    """Releases and returns the functions of one deployment. `say` gets a line for each step."""

    cloud: CloudRun
    key: str = ""
    """API key for administrators, for the upload of the check."""
    domain: str = ""
    """Domain of the load balancer, if there is one. Then tags are reached through it."""
    watch_seconds: float = 300
    """Time with a part of the traffic. The metrics of a request arrive after about three minutes."""
    max_error_rate: float = 0.02
    probes: int = 20
    """Searches through the public address while the new revisions have a part of the traffic."""
    say: Callable[[str], object] = print
    prefix: str = "lookalike-"
    sleep: Callable[[float], object] = time.sleep
    functions: Sequence[str] = field(default=PUBLIC + PRIVATE)

    def pin(self) -> None:
        """Give all traffic to the revisions that serve, by name, so that new ones are created without traffic."""
        for service in self._services():
            is_pinned = any(target.percent == 100 and target.revision == service.serving for target in service.traffic)
            if not is_pinned or service.follows_newest or service.tagged(CANDIDATE):
                targets = Change(service).undone()
                self.cloud.set_traffic(service.name, targets)
                self.say(f"{service.name}: {service.serving} has all traffic")

    def release(self) -> bool:
        """Release the newest revisions. Returns false if they serve already.

        Raises `ReleaseFailed` if anything is wrong. All traffic is then as before.
        """
        changes = [Change(service) for service in self._services() if service.newest != service.serving]
        if not changes:
            self.say("The newest revisions serve already: nothing to release")
            return False
        try:
            self._release(changes)
        except (ReleaseFailed, CheckFailed, RequestFailed) as error:
            problems = self._set_all(changes, lambda change: change.undone())
            state = f"; BUT the traffic could not be set back: {problems}" if problems else ", with all traffic"
            raise ReleaseFailed(f"{error}\nThe revisions of before serve{state}") from error
        self.say(f"Released: {', '.join(change.service.newest for change in changes)}")
        return True

    def roll_back(self) -> None:
        """Return all traffic to the revisions of before the last release. Raises `ReleaseFailed` if there are none."""
        moved = []
        for service in self._services():
            previous = service.tagged(PREVIOUS)
            if previous and previous != service.serving:
                self.cloud.set_traffic(service.name, [Target(previous, 100), Target(service.serving, 0, CANDIDATE)])
                moved.append(previous)
                self.say(f"{service.name}: {previous} has all traffic again, instead of {service.serving}")
        if not moved:
            raise ReleaseFailed("There is no revision to return to: no release was made since the last rollback")

    def _services(self) -> list[Service]:
        found = [self.cloud.service(f"{self.prefix}{name}") for name in self.functions]
        return [service for service in found if service]

    def _release(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.service.problem:
                raise ReleaseFailed(f"{change.name}: {change.service.problem}")
        tagged = [self.cloud.set_traffic(change.name, change.split(0)) for change in changes]
        self.say(f"{len(changes)} new revisions without traffic: {', '.join(one.newest for one in tagged)}")
        self.say(f"Through their tags, {Check(self._addresses(tagged), self.key, self._serving('detail')).run()}")
        self._move(changes, FIRST_PERCENT)
        started = datetime.now(UTC)
        self._probe()
        self.sleep(self.watch_seconds)
        self._require_few_errors(changes, started)
        self._move(changes, 100)
        self.say(f"Through the public address, {Check(self.public_addresses(), self.key).run()}")
        self._require_few_errors(changes, started)
        if problems := self._set_all(changes, lambda change: change.done()):
            raise ReleaseFailed(problems)

    def _move(self, changes: Sequence[Change], percent: int) -> None:
        if problems := self._set_all(changes, lambda change: change.split(percent)):
            raise ReleaseFailed(problems)
        self.say(f"{percent} % of the traffic goes to the new revisions")

    def _set_all(self, changes: Sequence[Change], targets: Callable[[Change], Sequence[Target]]) -> str:
        """Change the traffic of all services. Returns what failed; the others are changed nevertheless."""
        problems = []
        for change in changes:
            try:
                self.cloud.set_traffic(change.name, targets(change))
            except RequestFailed as error:
                problems.append(f"{change.name}: {error}")
        return "; ".join(problems)

    def _probe(self) -> None:
        """Send searches, so that a system without users has requests, too. Errors count in the metrics."""
        check = Check(self.public_addresses(), self.key)
        errors = []
        for _ in range(self.probes):
            try:
                check.search()
            except RequestFailed as error:
                errors.append(str(error))
        if len(errors) > self.probes * self.max_error_rate:
            raise ReleaseFailed(f"{len(errors)} of {self.probes} searches failed: {errors[0]}")

    def _require_few_errors(self, changes: Sequence[Change], since: datetime) -> None:
        """Raise `ReleaseFailed` if a new revision has more errors than are tolerated."""
        for change in changes:
            seen = self.cloud.traffic(change.name, change.service.newest, since)
            self.say(f"{change.service.newest}: {seen.requests} requests, {seen.errors} errors")
            if seen.errors > seen.requests * self.max_error_rate:
                share = f"{seen.errors} of {seen.requests} requests"
                raise ReleaseFailed(f"{change.service.newest} answered {share} with a status from 500 on")

    def _addresses(self, tagged: Sequence[Service]) -> Mapping[str, Address]:
        """Return the address of each public function: by its tag, or as it serves if it has no new revision."""
        addresses = dict(self.public_addresses())
        for service in tagged:
            name = service.name.removeprefix(self.prefix)
            if name in addresses:
                url = service.tag_uris.get(CANDIDATE, "")
                candidate = Address(f"https://{self.domain}", f"{CANDIDATE}.{self.domain}")
                addresses[name] = candidate if self.domain else Address(url)
        return addresses

    def public_addresses(self) -> Mapping[str, Address]:
        """Return the address of each public function."""
        if self.domain:
            return {name: Address(f"https://{self.domain}") for name in PUBLIC}
        services = {service.name.removeprefix(self.prefix): service for service in self._services()}
        return {name: Address(services[name].uri) for name in PUBLIC if name in services}

    def _serving(self, function: str) -> Address:
        return self.public_addresses()[function]

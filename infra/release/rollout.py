"""The steps of a release: check new revisions by their tags, then move the traffic to them in two steps."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from infra.release.check import Check, CheckFailed
from infra.release.cloud_run import CloudRun, Service, Target
from infra.release.http import Address, RequestFailed

CANDIDATE, PREVIOUS, WITHDRAWN = "candidate", "previous", "withdrawn"
"""Tags of the revision that is checked, of the one before a release, and of one that a rollback took the traffic from."""
PUBLIC = ("upload", "relay", "detail", "cancel", "auth")
PRIVATE = ("ingest", "reindex")
"""Functions that cannot be called from outside. Their startup probe has checked models, database and index."""
FIRST_PERCENT = 10


class ReleaseFailed(Exception):
    """A release or rollback did not succeed. The message says which revisions serve."""


@dataclass(frozen=True)
class Change:
    """A service whose newest revision does not serve yet."""

    service: Service

    @property
    def name(self) -> str:
        """Name of the service."""
        return self.service.name

    def split(self, percent: int) -> list[Target]:
        """Return the traffic with so many percent for the new revision. A rollback is possible all the time."""
        new = Target(self.service.newest, percent, CANDIDATE)
        if percent == 100:
            return [new, Target(self.service.serving, 0, PREVIOUS)]
        return [Target(self.service.serving, 100 - percent), new, *self._kept(PREVIOUS)]

    def done(self) -> list[Target]:
        """Return the traffic after the release. The revision of before can be returned to."""
        return [Target(self.service.newest, 100), Target(self.service.serving, 0, PREVIOUS)]

    def undone(self) -> list[Target]:
        """Return the traffic of before the release."""
        return [Target(self.service.serving, 100), *self._kept(PREVIOUS), *self._kept(WITHDRAWN)]

    def returned(self, revision: str) -> list[Target]:
        """Return the traffic after a rollback to that revision."""
        return [Target(revision, 100), Target(self.service.serving, 0, WITHDRAWN)]

    def settled(self) -> list[Target]:
        """Return all traffic for the serving revision, without one to return to."""
        return [Target(self.service.serving, 100), *self._kept(WITHDRAWN)]

    def _kept(self, tag: str) -> list[Target]:
        revision = self.service.tagged(tag)
        return [Target(revision, 0, tag)] if revision and revision != self.service.serving else []


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

    def pin(self) -> bool:
        """Give all traffic to the revisions that serve, by name, so that new ones are created without traffic.

        Returns whether anything changed.
        """
        changed = False
        for service in self._services():
            if not service.serving:
                # its first revision has never been ready
                continue
            is_pinned = any(target.percent == 100 and target.revision == service.serving for target in service.traffic)
            if not is_pinned or service.follows_newest or service.tagged(CANDIDATE):
                self.cloud.set_traffic(service.name, Change(service).undone())
                self.say(f"{service.name}: {service.serving} has all traffic")
                changed = True
        return changed

    def release(self) -> bool:
        """Release the newest revisions. Returns false if they serve already: then they are only checked.

        Raises `ReleaseFailed` if anything is wrong. All traffic is then as before.
        """
        services = self._existing()
        changes = [Change(service) for service in services if service.is_new and not self._is_withdrawn(service)]
        if not changes:
            return self._release_nothing()
        if waiting := [f"{change.name}: {change.service.problem}" for change in changes if change.service.problem]:
            raise ReleaseFailed("; ".join(waiting) + "\nNothing was changed: the revisions of before serve")
        try:
            self._release(changes, services)
        except (Exception, KeyboardInterrupt) as error:
            # also errors that nobody expected: the new revisions must not keep a part of the traffic
            problems = self._set_all(changes, lambda change: change.undone())
            state = f"; BUT the traffic could not be set back: {problems}" if problems else ", with all traffic"
            raise ReleaseFailed(f"{_reason(error)}\nThe revisions of before serve{state}") from error
        self.say(f"Released: {', '.join(change.service.newest for change in changes)}")
        return True

    def roll_back(self) -> None:
        """Return all traffic to the revisions of before the last release, or end a release that was interrupted.

        Raises `ReleaseFailed` if there are none, or if a service cannot be changed. The others are changed nevertheless.
        """
        changes = [Change(service) for service in self._existing()]
        targets = _return_targets([change.service for change in changes])
        if not targets:
            raise ReleaseFailed("There is no revision to return to: no release was made since the last rollback")
        changes = [change for change in changes if change.name in targets]
        if problems := self._set_all(changes, lambda change: self._return(change, targets[change.name])):
            raise ReleaseFailed(f"{problems}\nThe others are returned. Repeat the rollback")
        try:
            self.say(f"Through the public address, {Check(self.public_addresses(), self.key).run()}")
        except CheckFailed as error:
            raise ReleaseFailed(f"All traffic is returned, but the check after it failed: {error}") from error

    def public_addresses(self) -> Mapping[str, Address]:
        """Return the address of each public function."""
        if self.domain:
            return {name: Address(f"https://{self.domain}") for name in PUBLIC}
        services = {service.name.removeprefix(self.prefix): service for service in self._services()}
        return {name: Address(services[name].uri) for name in PUBLIC if name in services}

    def _return(self, change: Change, revision: str) -> Sequence[Target]:
        service = change.service
        if revision == service.serving:
            self.say(f"{service.name}: {revision} has all traffic")
            return change.undone()
        self.say(f"{service.name}: {revision} has all traffic again, instead of {service.serving}")
        return change.returned(revision)

    def _services(self) -> list[Service]:
        found = [self.cloud.service(f"{self.prefix}{name}") for name in self.functions]
        return [service for service in found if service]

    def _existing(self) -> list[Service]:
        if services := self._services():
            return services
        place = f"{self.cloud.region} of the project {self.cloud.project}"
        raise ReleaseFailed(f"There are no functions in {place}. Check both names, or deploy first")

    def _is_withdrawn(self, service: Service) -> bool:
        """Return whether the newest revision is one that a rollback took the traffic from."""
        is_withdrawn = service.newest == service.tagged(WITHDRAWN)
        if is_withdrawn:
            self.say(f"{service.newest} was rolled back and is not released again. Deploy a corrected version")
        return is_withdrawn

    def _release_nothing(self) -> bool:
        """Check what serves: the first release has no revision of before. Returns false."""
        self.say("The newest revisions serve already: nothing to release")
        try:
            self.say(f"Through the public address, {Check(self.public_addresses(), self.key).run()}")
        except CheckFailed as error:
            raise ReleaseFailed(f"{error}\nThe revisions that were checked serve all traffic") from error
        return False

    def _release(self, changes: Sequence[Change], services: Sequence[Service]) -> None:
        tagged = [self.cloud.set_traffic(change.name, change.split(0)) for change in changes]
        self.say(f"{len(changes)} new revisions without traffic: {', '.join(one.newest for one in tagged)}")
        serving = self.public_addresses().get("detail")
        self.say(f"Through their tags, {Check(self._addresses(tagged), self.key, serving).run()}")
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
        self._forget_earlier(changes, services)

    def _forget_earlier(self, changes: Sequence[Change], services: Sequence[Service]) -> None:
        """Drop what unchanged services could return to: a rollback must not mix revisions of two releases."""
        names = {change.name for change in changes}
        others = [Change(service) for service in services if service.name not in names and service.tagged(PREVIOUS)]
        if problems := self._set_all(others, lambda change: change.settled()):
            self.say(
                f"Released, but do not roll back: services without a new revision have an older one to return to. {problems}"
            )

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
                addresses[name] = self._candidate_address(service)
        return addresses

    def _candidate_address(self, service: Service) -> Address:
        if self.domain:
            return Address(f"https://{self.domain}", f"{CANDIDATE}.{self.domain}")
        if url := service.tag_uris.get(CANDIDATE, ""):
            return Address(url)
        raise ReleaseFailed(f"{service.name}: Cloud Run gave the tag {CANDIDATE} no address")


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "It was interrupted"
    return str(error) if isinstance(error, (ReleaseFailed, CheckFailed, RequestFailed)) else repr(error)


def _return_targets(services: Sequence[Service]) -> dict[str, str]:
    """Return the revision that a rollback gives all traffic, by service.

    If a release was interrupted while new revisions had a part of the traffic, only its changes are undone.
    """
    unfinished = [service for service in services if 0 < service.percent_of(CANDIDATE) < 100]
    targets = {}
    for service in services:
        previous, candidate = service.tagged(PREVIOUS), service.tagged(CANDIDATE)
        if unfinished and candidate != service.serving:
            targets[service.name] = service.serving if candidate else ""
        elif not unfinished or candidate:
            targets[service.name] = previous if previous != service.serving else ""
    return {name: revision for name, revision in targets.items() if revision}

"""Lists what a deployment has created in a project, with and without a price."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from infra.deploy.deployment import Deployment
from infra.deploy.tools import CommandFailed

SWITCHED_OFF = ("SERVICE_DISABLED", "has not been used in project", "is not enabled", "it is disabled")
"""Parts of the message about a service that is not enabled, of which nothing can be left then."""


@dataclass(frozen=True)
class Found:
    """A resource that exists."""

    kind: str
    name: str
    is_billed: bool


@dataclass(frozen=True)
class Listing:
    """A command of gcloud that lists resources of a kind."""

    kind: str
    command: tuple[str, ...]
    is_billed: bool
    region_option: str = ""
    """The option for the region, if the command needs one."""
    name: Callable[[Any], str] = lambda one: str(one["name"])

    def find(self, deployment: Deployment) -> Iterator[Found]:
        """Yield the resources of lookalike. A service that is not enabled has none."""
        region = (f"{self.region_option}={deployment.region}",) if self.region_option else ()
        try:
            resources = deployment.gcloud.json(*self.command, *region) or []
        except CommandFailed as error:
            if any(part in error.output for part in SWITCHED_OFF):
                return
            raise
        for one in resources:
            name = self.name(one)
            if "lookalike" in name.rpartition("/")[2] or "lookalike" in str(one.get("displayName", "")):
                yield Found(self.kind, name.rpartition("/")[2], self.is_billed)


def _metadata_name(one: Any) -> str:
    return str(one["metadata"]["name"])


def _backup_name(one: Any) -> str:
    return f"{one.get('instance', '')}:{one.get('name') or one.get('id')}".replace("/", ":")


LISTINGS = (
    Listing("database instance", ("sql", "instances", "list"), True),
    Listing("database backup", ("sql", "backups", "list"), True, name=_backup_name),
    Listing("bucket", ("storage", "buckets", "list", "--raw"), True),
    Listing("image repository", ("artifacts", "repositories", "list"), True, "--location"),
    Listing("secret", ("secrets", "list"), True),
    Listing("function", ("run", "services", "list"), True, "--region", _metadata_name),
    Listing("job", ("run", "jobs", "list"), True, "--region", _metadata_name),
    Listing("schedule", ("scheduler", "jobs", "list"), True, "--location"),
    Listing("address", ("compute", "addresses", "list", "--global"), True),
    Listing("forwarding rule", ("compute", "forwarding-rules", "list", "--global"), True),
    Listing("security policy", ("compute", "security-policies", "list"), True),
    Listing("uptime check", ("monitoring", "uptime", "list-configs"), True),
    Listing("subscription", ("pubsub", "subscriptions", "list"), True),
    Listing("topic", ("pubsub", "topics", "list"), False),
    Listing("trigger", ("eventarc", "triggers", "list"), False, "--location"),
    Listing("account", ("iam", "service-accounts", "list"), False, name=lambda one: str(one["email"])),
)
"""In the order in which they are shown. Kinds that are billed only in part count as billed."""


def find_all(deployment: Deployment) -> list[Found]:
    """Return everything that exists of the deployment."""
    return [found for listing in LISTINGS for found in listing.find(deployment)]


def describe(found: Sequence[Found]) -> Iterator[str]:
    """Yield a line for each resource."""
    for one in found:
        yield f"    {one.kind} {one.name}{'' if one.is_billed else ' (free)'}"

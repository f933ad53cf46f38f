"""The deployment as Terraform's files describe it: which resources there are, how many, and of which size."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import hcl2
from hcl2 import SerializationOptions

from infra.costs.expressions import Scope

Body = Mapping[str, Any]
FOLDER = Path(__file__).parents[1] / "terraform"
OPTIONS = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
DEFAULT_SIZE = (1.0, 0.5)
"""vCPUs and GiB of a Cloud Run job without limits."""


@dataclass(frozen=True)
class Size:
    """CPUs, memory and GPUs of an instance of Cloud Run."""

    vcpus: float
    gib: float
    gpus: int
    most: int
    """Most instances at the same time."""

    @property
    def is_billed_while_idle(self) -> bool:
        """Whether an instance is billed for its whole lifetime, and not only while it serves requests."""
        return self.gpus > 0


@dataclass(frozen=True)
class Configuration:
    """All blocks of the files."""

    resources: Mapping[str, Body]
    """By address: google_storage_bucket.closet."""
    locals: Body
    variables: Mapping[str, Body]

    @property
    def kinds(self) -> set[str]:
        """Types of resources."""
        return {address.split(".")[0] for address in self.resources}


@cache
def read_configuration(folder: Path = FOLDER) -> Configuration:
    """Read all .tf files of a folder."""
    blocks: dict[str, list[Body]] = {}
    for file in sorted(folder.glob("*.tf")):
        for kind, parsed in hcl2.loads(file.read_text(), serialization_options=OPTIONS).items():
            blocks.setdefault(kind, []).extend(parsed)
    resources = {
        f"{kind}.{name}": body
        for block in blocks["resource"]
        for kind, named in block.items()
        for name, body in named.items()
    }
    local_values = {name: value for block in blocks["locals"] for name, value in block.items()}
    variables = {name: body for block in blocks["variable"] for name, body in block.items()}
    return Configuration(resources, local_values, variables)


@dataclass(frozen=True)
class Deployment:
    """The configuration with values of variables. Variables without a value have their default."""

    configuration: Configuration
    values: Body = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := self.values.keys() - self.configuration.variables.keys():
            raise ValueError(f"Terraform has no variable {', '.join(sorted(unknown))}.")

    @cached_property
    def scope(self) -> Scope:
        """Values for expressions."""
        defaults = {name: one["default"] for name, one in self.configuration.variables.items() if "default" in one}
        return Scope({**defaults, **self.values}, self.configuration.locals)

    def local(self, name: str) -> Any:
        """Return a local value."""
        return self.scope.evaluate(f"${{local.{name}}}")

    def variable(self, name: str) -> Any:
        """Return the value of a variable."""
        return self.scope.evaluate(f"${{var.{name}}}")

    def number_of(self, kind: str) -> int:
        """Return how many resources of a type there are."""
        return sum(self.count(address) for address in self.configuration.resources if address.startswith(f"{kind}."))

    def count(self, address: str) -> int:
        """Return how many there are of a resource. 0 if there is none of that name."""
        body = self.configuration.resources.get(address)
        if body is None:
            return 0
        if "for_each" in body:
            return len(self.scope.evaluate(body["for_each"]))
        return int(self.scope.evaluate(body.get("count", 1)))

    @cached_property
    def services(self) -> Mapping[str, Size]:
        """Sizes of the functions' instances."""
        return {name: self._size(name, body) for name, body in self.local("functions").items()}

    def _size(self, name: str, body: Body) -> Size:
        limits = self.local("l4_limits") if name in self.local("on_gpu") else body
        gpus = int(limits.get("nvidia.com/gpu", 0))
        return Size(float(limits["cpu"]), gibibytes(limits["memory"]), gpus, int(body["max_instances"]))

    @cached_property
    def database(self) -> tuple[int, float, int]:
        """Return the vCPUs and GiB of the database, and the number of instances: 2 with a standby."""
        settings = self.configuration.resources["google_sql_database_instance.catalog"]["settings"][0]
        tier = self.scope.evaluate(settings["tier"])
        if not (match := re.fullmatch(r"db-custom-(\d+)-(\d+)", tier)):
            raise ValueError(f"The size of the machine type {tier} is not known. Use db-custom-CPUS-MEGABYTES.")
        is_regional = self.scope.evaluate(settings["availability_type"]) == "REGIONAL"
        return int(match[1]), int(match[2]) / 1024, 2 if is_regional else 1

    @property
    def backups(self) -> int:
        """Number of backups that are kept."""
        settings = self.configuration.resources["google_sql_database_instance.catalog"]["settings"][0]
        return int(settings["backup_configuration"][0]["backup_retention_settings"][0]["retained_backups"])

    @property
    def rebuilds_an_hour(self) -> float:
        """How often the scheduler calls reindex."""
        schedule = self.configuration.resources["google_cloud_scheduler_job.reindex"]["schedule"]
        if not (match := re.fullmatch(r"\*/(\d+) \* \* \* \*", schedule)):
            raise ValueError(f"The schedule {schedule!r} is not one of every few minutes.")
        return 60 / int(match[1])

    @property
    def firewall_rules(self) -> int:
        """Number of rules of Cloud Armor."""
        policy = self.configuration.resources["google_compute_security_policy.lookalike"]
        repeated = (one["rule"]["for_each"] for one in policy["dynamic"] if "rule" in one)
        return len(policy["rule"]) + sum(len(self.scope.evaluate(one)) for one in repeated)

    @property
    def metric_labels(self) -> Iterator[tuple[bool, bool]]:
        """For each metric from logs: whether it is a histogram, and whether it has labels."""
        for metric in self.local("log_metrics").values():
            yield metric["value"] is not None, bool(metric["labels"])


def gibibytes(text: str) -> float:
    """Return an amount of memory, such as 512Mi or 4Gi, in GiB."""
    if not (match := re.fullmatch(r"(\d+)(Mi|Gi)", text)):
        raise ValueError(f"{text!r} is not an amount of memory such as 512Mi or 4Gi.")
    return int(match[1]) / (1 if match[2] == "Gi" else 1024)

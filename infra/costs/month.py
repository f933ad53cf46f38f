"""One system with one set of models: its requests, photos and bytes in a month."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from infra.costs.deployment import Deployment
from infra.costs.workload import DAYS, HOURS, Assumptions, InstanceTime, Load, Table, instance_time
from lookalike.settings import Settings

KIB = 1 / 1024**2
"""GiB of a KiB."""
BYTE = 1 / 1024**3
"""GiB of a byte."""
CHECKED_REGIONS = "selected_regions"


@dataclass(frozen=True)
class Charge:
    """An amount of something that has a price."""

    row: str
    price: str
    """Name in the price list."""
    amount: float
    """In single things, also where the price is that of many."""


@dataclass(frozen=True)
class Month:
    """The figures of which all charges are computed."""

    deployment: Deployment
    assumptions: Assumptions
    system: Table
    models: Table

    @property
    def has_balancer(self) -> bool:
        """Whether there is a load balancer."""
        return self.deployment.number_of("google_compute_global_forwarding_rule") > 0

    def other(self, section: str) -> Table:
        """Return a section of the assumptions."""
        return self.assumptions.others[section]

    @cached_property
    def checks(self) -> float:
        """Executions of uptime checks in a month. Each is a search."""
        address = "google_monitoring_uptime_check_config.search"
        if not self.deployment.count(address):
            return 0
        regions = len(self.deployment.configuration.resources[address][CHECKED_REGIONS])
        return regions * HOURS * 3600 / float(self.deployment.variable("uptime_seconds"))

    @cached_property
    def searches(self) -> float:
        """Searches in a month, without those of uptime checks."""
        return float(self.system["searches"]) * DAYS

    @cached_property
    def photos(self) -> float:
        """Photos that are stored in a month."""
        return float(self.system["uploads"]) * DAYS + float(self.system["bulk_photos"])

    @cached_property
    def builds(self) -> float:
        """Builds of the index in a month: one for each REINDEX_AFTER garments, and at most one for each call."""
        changed = self.photos * self.other("storage")["garments"]
        every = float(Settings.model_fields["reindex_after"].default)
        return float(min(changed / every, self.deployment.rebuilds_an_hour * HOURS))

    @cached_property
    def objects(self) -> float:
        """Objects that are written in a month. Each is an event for the function ingest."""
        storage = self.other("storage")
        return float(self.photos * storage["objects"] + self.builds * storage["writes"])

    @cached_property
    def job_objects(self) -> float:
        """Objects that the job lookalike-ingest writes, in short times."""
        return float(self.system["bulk_photos"] * self.other("storage")["objects"])

    @cached_property
    def loads(self) -> Mapping[str, Load]:
        """Load of each function."""
        traffic, searches = self.other("traffic"), float(self.system["searches"])
        a_second = {
            "relay": (searches, self.checks),
            "upload": (self.system["uploads"], 0),
            "detail": (searches * traffic["detail"], 0),
            "cancel": (searches * traffic["cancel"], 0),
            "auth": (searches * traffic["auth"], 0),
            "ingest": ((self.objects - self.job_objects) / DAYS, 0),
            "reindex": (0, self.deployment.rebuilds_an_hour * HOURS),
        }
        hours = float(self.system["open_hours"])
        return {
            name: Load(
                a_day / hours / 3600,
                a_month / HOURS / 3600,
                hours,
                *self._seconds(name),
                self.other("storage")["objects"] if name == "ingest" else 1,
            )
            for name, (a_day, a_month) in a_second.items()
        }

    def _seconds(self, function: str) -> tuple[float, float]:
        """Return the elapsed time of a request, and the time of a CPU, or of the GPU if there is one."""
        kinds = {"relay": "search", "upload": "upload", "ingest": "event", "reindex": "rebuild"}
        kind = kinds.get(function, "other")
        request = self.assumptions.requests[kind]
        if kind not in {"search", "upload"}:
            return request["seconds"], request["cpu_seconds"]
        elapsed = request["seconds"] + self.models["photo_seconds"]
        if self.deployment.services[function].gpus:
            return elapsed, self.models["photo_seconds"]
        return elapsed, request["cpu_seconds"] + self.models["photo_cpu_seconds"]

    @cached_property
    def times(self) -> Mapping[str, InstanceTime]:
        """Billed time of each function's instances, without starts and builds."""
        services, instances = self.deployment.services, self.other("instances")
        return {name: instance_time(load, services[name], instances) for name, load in self.loads.items()}

    @cached_property
    def public_requests(self) -> float:
        """Requests of a month to the functions that everyone can reach."""
        functions = self.deployment.local("functions")
        return sum(load.requests for name, load in self.loads.items() if functions[name]["public"])

    @cached_property
    def requests(self) -> float:
        """Requests of a month to all functions."""
        return sum(load.requests for load in self.loads.values()) + self.job_objects

    @cached_property
    def response_gib(self) -> float:
        """GiB that the functions send to the internet in a month."""
        return float(self.public_requests * self.other("traffic")["response_kib"] * KIB)

    @cached_property
    def request_gib(self) -> float:
        """GiB of photos that searches and uploads send."""
        photos = self.loads["relay"].requests + self.loads["upload"].requests
        return float(photos * self.other("traffic")["request_kib"] * KIB)

    @cached_property
    def thumbnails(self) -> float:
        """Thumbnails that are loaded in a month."""
        return float(self.searches * self.other("traffic")["thumbnails"])

    @cached_property
    def thumbnail_gib(self) -> float:
        """GiB of these thumbnails."""
        return float(self.thumbnails * self.other("traffic")["thumbnail_kib"] * KIB)

    @cached_property
    def page_gib(self) -> float:
        """GiB of the page and the widget, which only the load balancer serves."""
        traffic = self.other("traffic")
        return float(self.searches * traffic["page_views"] * traffic["page_kib"] * KIB) if self.has_balancer else 0.0

    @cached_property
    def page_requests(self) -> float:
        """Requests for files of the page and the widget."""
        traffic = self.other("traffic")
        return float(self.searches * traffic["page_views"] * traffic["page_requests"]) if self.has_balancer else 0.0

    @cached_property
    def vector_bytes(self) -> int:
        """Bytes of a vector."""
        return 4 * int(self.models["numbers"])

    @cached_property
    def stored_gib(self) -> float:
        """GiB of the bucket: photos, versions of the index, and deleted versions for as long as they can be restored."""
        storage, garments = self.other("storage"), self.system["garments"]
        photos = garments / storage["garments"] * storage["photo_kib"] * KIB
        version = garments * (self.vector_bytes + storage["index_row_bytes"]) * BYTE
        days = int(self.deployment.local("old_version_days")) + int(self.deployment.local("soft_delete_days"))
        return float(photos + version * (storage["kept_versions"] + self.builds / DAYS * days))

    @cached_property
    def database_gib(self) -> float:
        """GiB of the database: garments, jobs, and the binary log for as long as it is kept."""
        database, searches = self.other("database"), self.system["searches"]
        garments = self.system["garments"] * (database["garment_bytes"] + self.vector_bytes)
        jobs = searches * database["job_days"] * database["job_bytes"]
        log = searches * int(self.deployment.local("restore_days")) * database["change_bytes"]
        return float(max(database["least_gib"], database["base_gib"] + (garments + jobs + log) * BYTE))

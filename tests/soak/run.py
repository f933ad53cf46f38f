"""Run a soak test: load and kills first, then the checks."""

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

from tests.soak import answers, flatness, leftovers
from tests.soak.check import Check
from tests.soak.clients import Client, Workload
from tests.soak.deployment import Deployment, running_deployment
from tests.soak.operations import Operation
from tests.soak.photos import make_pool
from tests.soak.sampling import Sample, Sampler

PHOTOS = 48
"""Different photos."""
KILLING_SHARE = 0.5
"""Part of the load in which processes are killed. Then one worker lives long enough to show whether its memory grows."""
REBUILDING_SHARE = 0.8
"""Part of the load in which the index is rebuilt. Rows written later are in no version when the index is checked."""
KILLS = 6
"""Kills in a run, as far as the lives between them are neither shorter nor longer than this."""
MIN_LIFE, MAX_LIFE = 12.0, 75.0
"""Seconds between two kills."""


@dataclass(frozen=True)
class Options:
    """What to run."""

    minutes: float = 10
    clients: int = 32
    seed: int = 1


@dataclass
class SoakResult:
    """Everything that was seen."""

    options: Options
    started: datetime
    seconds: float = 0
    """Duration of the load."""
    database: str = ""
    """Version of the database server."""
    operations: list[Operation] = field(default_factory=list)
    """Operations of the load. Operations of the checks are left out."""
    samples: list[Sample] = field(default_factory=list)
    kills: list[tuple[float, str]] = field(default_factory=list)
    """Seconds since the start, and `worker`, or `server` if all of its processes were killed."""
    checks: list[Check] = field(default_factory=list)

    @property
    def failed(self) -> list[Check]:
        """The checks that failed."""
        return [check for check in self.checks if check.problems]


def run_soak(options: Options, folder: Path) -> SoakResult:
    """Run the load and the checks. Skips the test if MariaDB is missing."""
    with running_deployment(folder) as deployment:
        pool = make_pool(deployment.services.models, PHOTOS, options.seed)
        rebuilds_end = REBUILDING_SHARE * 60 * options.minutes
        workload = Workload(deployment.server, deployment.admin_headers, pool, rebuilds_end)
        result = SoakResult(options, datetime.now(UTC))
        apply_load(deployment, workload, result)
        result.database = leftovers.database_version(deployment)
        # These searches become part of the history that is checked below.
        left = leftovers.check_everything(deployment, workload)
        result.checks = [
            *answers.check_everything(workload, result.operations, result.kills),
            *left,
            *flatness.check_everything(result.samples),
        ]
        return result


def apply_load(deployment: Deployment, workload: Workload, result: SoakResult) -> None:
    """Run the clients and kill the server in between."""
    options = result.options
    clients = [Client(number, workload, options.seed) for number in range(options.clients)]
    sampler = Sampler(deployment.worker_pid, workload.now)
    for thread in (sampler, *clients):
        thread.start()
    try:
        end = 60 * options.minutes
        kill_repeatedly(KILLING_SHARE * end, deployment, workload, clients, result)
        wait_until(end, workload, clients)
    finally:
        workload.stopping.set()
        sampler.stop()
        result.seconds, result.samples = workload.now(), sampler.samples
        for client in clients:
            client.join()
    raise_errors(clients)
    result.operations = list(workload.recorder.operations)


def kill_repeatedly(
    end: float, deployment: Deployment, workload: Workload, clients: list[Client], result: SoakResult
) -> None:
    """Kill the worker, and every third time all processes, until a moment."""
    rng, kinds = random.Random(result.options.seed), cycle(["worker", "server", "worker"])
    life = min(max(end / (KILLS + 1), MIN_LIFE), MAX_LIFE)
    while (next_kill := workload.now() + life * rng.uniform(0.9, 1.1)) < end:
        wait_until(next_kill, workload, clients)
        killed = next(kinds)
        result.kills.append((workload.now(), killed))
        deployment.kill_worker() if killed == "worker" else deployment.kill_server()


def wait_until(moment: float, workload: Workload, clients: list[Client]) -> None:
    """Wait. Raises the error of a client that fails meanwhile."""
    while (remaining := moment - workload.now()) > 0:
        raise_errors(clients)
        time.sleep(min(remaining, 0.5))


def raise_errors(clients: list[Client]) -> None:
    """Raise the first error of a client."""
    for client in clients:
        if client.error:
            raise client.error

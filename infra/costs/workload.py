"""The work of a system in a month: assumptions, measured figures of the built-in models, and time of instances."""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lookalike
from infra.costs.deployment import Size

ASSUMPTIONS = Path(__file__).with_name("assumptions.toml")
CARD = Path(lookalike.__file__).with_name("weights") / "CARD.md"
HOURS = 730
"""Hours of a month."""
DAYS = HOURS / 24
Table = Mapping[str, Any]


@dataclass(frozen=True)
class Assumptions:
    """The content of assumptions.toml."""

    systems: Mapping[str, Table]
    models: Mapping[str, Table]
    requests: Mapping[str, Table]
    others: Mapping[str, Table]
    """Sections traffic, instances, storage, database, observability and releases."""


def read_assumptions(file: Path = ASSUMPTIONS, card: Path = CARD) -> Assumptions:
    """Read the assumptions. Seconds that a set of models lacks are those of the model card."""
    content = tomllib.loads(file.read_text())
    models = {name: {**measured_seconds(card), **one} for name, one in content.pop("models").items()}
    return Assumptions(content.pop("systems"), models, content.pop("requests"), content)


def measured_seconds(card: Path = CARD) -> dict[str, float]:
    """Return the time of a photo of four garments that the model card states: elapsed, and of a CPU."""
    rows = {"photo_seconds": "milliseconds, both", "photo_cpu_seconds": "milliseconds of CPU time"}
    text = card.read_text()
    return {name: _figure(text, row) / 1000 for name, row in rows.items()}


def _figure(text: str, row: str) -> float:
    match = re.search(rf"^\| cost \| {re.escape(row)} \| ([\d.]+) \|$", text, re.MULTILINE)
    if not match:
        raise ValueError(f"The model card has no line | cost | {row} |.")
    return float(match[1])


@dataclass(frozen=True)
class Load:
    """Requests to a function, spread evenly over the open hours of each day and over the whole day."""

    open_rate: float
    """Requests a second in the open hours, beside the steady ones."""
    steady_rate: float
    """Requests a second at any time: uptime checks and the schedule."""
    open_hours: float
    """Hours of a day."""
    seconds: float
    """Elapsed time of a request."""
    busy_seconds: float
    """Time of one CPU for a request, or of the GPU."""
    together: float = 1
    """Requests that arrive at the same time."""

    @property
    def requests(self) -> float:
        """Requests in a month."""
        return (self.open_rate * self.open_hours + self.steady_rate * 24) * 3600 * DAYS


@dataclass(frozen=True)
class InstanceTime:
    """Instances of a function."""

    seconds: float
    """Billed seconds of all instances in a month."""
    most: int
    """Instances at the same time that the load needs."""


def instance_time(load: Load, size: Size, instances: Table) -> InstanceTime:
    """Return the billed time of a month.

    Requests come at random, so an instance with r requests a second, each of which holds it for h seconds, is in use for a
    share 1 - exp(-r h) of the time (the busy time of a queue M/G/∞). An instance without a GPU is billed while it serves requests,
    in steps of 0.1 s. One with a GPU is billed until it has had no request for a while.
    """
    periods = [(load.open_rate + load.steady_rate, load.open_hours), (load.steady_rate, 24 - load.open_hours)]
    hold = math.ceil(round(load.seconds * 10, 6)) / 10
    if size.is_billed_while_idle:
        hold = load.seconds + instances["idle_seconds"]
    capacity = instances["utilization"] * (size.gpus or size.vcpus)
    seconds, most = 0.0, 0
    for rate, hours in periods:
        number = math.ceil(rate * load.busy_seconds / capacity)
        if number:
            seconds += number * hours * 3600 * DAYS * -math.expm1(-rate / load.together / number * hold)
        most = max(most, number)
    return InstanceTime(seconds, most)

"""The estimate as Markdown tables, and the page of the documentation that has them."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.costs.coverage import BILLED, OUTSIDE, UNBILLED
from infra.costs.estimate import Estimate
from infra.costs.prices import Price

PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
VARIATIONS: Mapping[str, Mapping[str, Any]] = {
    "as above": {},
    'without a load balancer: `domain = ""`': {"domain": ""},
    "without the uptime check: `uptime_seconds = 0`": {"uptime_seconds": 0},
    "without traces: `traces = false`": {"traces": False},
    "with a standby of the database: `high_availability = true`": {"high_availability": True},
    "with a database twice as large: `database_tier = db-custom-4-15360`": {"database_tier": "db-custom-4-15360"},
}
"""By the title of a line: values of Terraform's variables that differ from the default."""
SETTINGS = {
    "PRICE_VCPU_SECOND": "run_cpu",
    "PRICE_GIB_SECOND": "run_memory",
    "PRICE_MILLION_REQUESTS": "run_requests",
}
"""Setting of the cost estimate of a request = price."""
GPU_SETTINGS = {
    "PRICE_VCPU_SECOND": "run_always_cpu",
    "PRICE_GIB_SECOND": "run_always_memory",
    "PRICE_GPU_SECOND": "run_l4",
}
"""The same for an instance with a GPU, whose requests are not charged."""


def systems_table(estimate: Estimate) -> str:
    """Return what the systems have to do."""
    heading = [
        "System",
        "Searches a day",
        "Photos uploaded a day",
        "Photos of jobs a month",
        "Garments",
        "Releases a month",
    ]
    keys = ("searches", "uploads", "bulk_photos", "garments", "releases")
    systems = estimate.assumptions.systems.values()
    return table(heading, [[one["title"], *(f"{one[key]:,}" for key in keys)] for one in systems])


def main_table(estimate: Estimate) -> str:
    """Return what each row costs, and the totals."""
    rows = dict.fromkeys(row for column in estimate.columns.values() for row in column)
    lines = [[row, *(f"{column.get(row, 0):,.2f}" for column in estimate.columns.values())] for row in rows]
    total = ["**Total**", *(f"**{total:,.2f}**" for total in estimate.totals.values())]
    return table([f"USD a month, {_dates(estimate.prices)}", *_headings(estimate)], [*lines, total])


def variation_table(estimate: Estimate) -> str:
    """Return the totals for other values of variables."""
    lines = []
    for name, values in VARIATIONS.items():
        changed = replace(estimate, values={**estimate.values, **values})
        lines.append([name, *(f"{total:,.2f}" for total in changed.totals.values())])
    return table(["USD a month", *_headings(estimate)], lines)


def coverage_tables(estimate: Estimate) -> str:
    """Return which resources are in which rows, and which are not billed."""
    kinds = sorted(estimate.configuration.kinds)
    if unknown := [kind for kind in kinds if kind not in BILLED and kind not in UNBILLED]:
        raise ValueError(f"Add {', '.join(unknown)} to infra/costs/coverage.py, with charges if it is billed.")
    rows, reasons = defaultdict(list), defaultdict(list)
    for kind in kinds:
        if kind in BILLED:
            rows[BILLED[kind]].append(f"`{kind}`")
        else:
            reasons[UNBILLED[kind]].append(f"`{kind}`")
    billed = [[row, ", ".join(names)] for row, names in rows.items()]
    billed += [[row, f"not in Terraform: {text}"] for row, text in OUTSIDE.items()]
    free = [[", ".join(names), reason] for reason, names in reasons.items()]
    return f"{table(['Rows', 'Resources'], billed)}\n\n{table(['Not billed', 'Why'], free)}"


def settings_block(prices: Mapping[str, Price]) -> str:
    """Return the prices for the cost estimate of a request, as settings of an instance without and with a GPU."""
    parts = []
    for title, names in (("# without a GPU", SETTINGS), ("# with an L4", GPU_SETTINGS)):
        values = (f"{setting}={prices[name].tiers[0][1]:.10f}".rstrip("0") for setting, name in names.items())
        parts.append("\n".join([title, *values]))
    return "```text\n" + "\n".join(parts) + "\n```"


def unseen_list(prices: Mapping[str, Price]) -> str:
    """Return the prices that were not read at their source."""
    names = ", ".join(f"`{name}`" for name, price in prices.items() if not price.seen)
    return f"Not read at their source on the day they were entered: {names}."


def sections(estimate: Estimate) -> dict[str, str]:
    """Return all parts of the page that are computed, by name."""
    return {
        "systems": systems_table(estimate),
        "table": main_table(estimate),
        "variations": variation_table(estimate),
        "coverage": coverage_tables(estimate),
        "settings": settings_block(estimate.prices),
        "unseen": unseen_list(estimate.prices),
    }


def fill_page(text: str, parts: Mapping[str, str]) -> str:
    """Replace the parts of a page between its markers. Raises `ValueError` if one is missing."""
    for name, part in parts.items():
        start, marker, rest = text.partition(f"<!-- costs: {name} -->\n")
        _, end, after = rest.partition("<!-- end of costs -->")
        text = f"{start}{marker}{part}\n{end}{after}"
        if not end:
            raise ValueError(f"The page has no part <!-- costs: {name} --> … <!-- end of costs -->.")
    return text


def table(heading: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table. Columns of numbers are aligned to the right."""
    is_number = [all(re.fullmatch(r"[\d,.*]+", line[place]) for line in lines) for place in range(len(heading))]
    rule = ["---:" if right else "---" for right in is_number]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heading, rule, *lines))


def notes(estimate: Estimate) -> Iterator[str]:
    """Yield where Terraform allows fewer instances than the load needs."""
    for system, models, name, needed, allowed in estimate.shortages:
        yield f"{system}, {models}: {name} needs {needed} instances; Terraform allows {allowed}."


def _headings(estimate: Estimate) -> list[str]:
    assumptions = estimate.assumptions
    return [
        f"{assumptions.systems[system]['title']}, {assumptions.models[models]['title']}"
        for system, models in estimate.columns
    ]


def _dates(prices: Mapping[str, Price]) -> str:
    dates = sorted({price.date for price in prices.values()})
    return f"prices of {dates[0]}" if len(dates) == 1 else f"prices of {dates[0]} to {dates[-1]}"

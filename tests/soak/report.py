"""The report of a soak test: one HTML file that needs nothing else."""

import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape

from tests.soak.charts import Mark, Point, Series, line_chart
from tests.soak.check import Check
from tests.soak.operations import UNANSWERED, Kind, Operation, Outcome, latencies
from tests.soak.run import SoakResult
from tests.soak.sampling import QUANTITIES

LIBRARIES = ("gunicorn", "onnxruntime", "sqlalchemy", "PyMySQL", "google-cloud-storage")
CHARTED_KINDS = (Kind.SEARCH, Kind.UPLOAD, Kind.DELETE)
MAX_PROBLEMS = 100
"""Problems of one check that the report lists."""
BINS = 150
"""Points of a line of latencies, at most one a second."""
MARKS_LEGEND = (
    "Red lines: the worker (dashed) or all processes of the server (solid) were killed. Green ticks: the index was "
    "rebuilt."
)
Cell = str | float
"""Text, which is escaped unless it is `Markup`, or a number, which is aligned to the right."""
STYLE = """
:root { --text: #211d19; --soft: #6a6158; --rule: #ddd5c9; --page: #ffffff; --panel: #faf7f2; --first: #45658a;
  --second: #a3431f; --good: #2c6e49; --bad: #b3261e; color-scheme: light dark }
@media (prefers-color-scheme: dark) { :root { --text: #f2ece4; --soft: #b0a598; --rule: #3a352f; --page: #171513;
  --panel: #211e1b; --first: #84a9d3; --second: #f0926b; --good: #7cc79d; --bad: #ff8a80 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 1000px;
  margin: 2rem auto; padding: 0 1rem }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.2rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--rule) }
.number { text-align: right; font-variant-numeric: tabular-nums }
.good { color: var(--good) } .bad { color: var(--bad) } .good, .bad { font-weight: 600; white-space: nowrap }
.soft { color: var(--soft) } details { margin-top: .3rem } li { overflow-wrap: anywhere }
svg { width: 100%; height: auto; background: var(--panel); border: 1px solid var(--rule); border-radius: 8px;
  margin: .4rem 0 }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft) } svg .title { font-weight: 600; fill: var(--text) }
svg .value { text-anchor: end } svg .time { text-anchor: middle }
svg .grid { stroke: var(--rule) } svg .line { fill: none; stroke-width: 1.6; stroke-linejoin: round }
svg .first { stroke: var(--first) } svg .second { stroke: var(--second) }
svg .mark { stroke: var(--bad); stroke-width: 1.5 } svg .worker { stroke-dasharray: 4 3 }
svg .rebuild { stroke: var(--good) }
"""


def write_report(result: SoakResult, path: Path) -> None:
    """Write the report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(result), encoding="utf-8")


def render(result: SoakResult) -> str:
    """Return the page."""
    verdict = f"{len(result.failed)} of {len(result.checks)} checks failed" if result.failed else "all checks passed"
    marks = [
        *(Mark(moment, f"{killed} killed", killed) for moment, killed in result.kills),
        *(Mark(one.end, "index rebuilt", "rebuild") for one in rebuilds(result.operations)),
    ]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Soak test</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<style>{STYLE}</style></head><body>",
            f'<h1>Soak test: <span class="{"bad" if result.failed else "good"}">{verdict}</span></h1>',
            f'<p class="soft">{escape(describe_conditions(result))}</p>',
            "<h2>Checks</h2>",
            table(("Result", "Check", "Tested on"), map(check_row, result.checks)),
            "<h2>Requests</h2>",
            table(REQUEST_COLUMNS, request_rows(result.operations)),
            "<h2>Codes</h2>",
            table(*code_table(result.operations)),
            "<h2>Latency over time</h2>",
            f'<p class="soft">Seconds until the response. {MARKS_LEGEND}</p>',
            *(latency_chart(result, kind, marks) for kind in CHARTED_KINDS),
            "<h2>Memory, threads and file handles of the worker over time</h2>",
            *(worker_chart(result, quantity, marks) for quantity in QUANTITIES),
            "</body></html>",
        ]
    )


def rebuilds(operations: Sequence[Operation]) -> Iterator[Operation]:
    """Return the successful rebuilds."""
    return (one for one in operations if one.kind is Kind.REBUILD and one.outcome is Outcome.DONE)


def describe_conditions(result: SoakResult) -> str:
    """Return when, where and how the test ran."""
    options = result.options
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{options.clients} clients for {options.minutes:g} minutes with seed {options.seed}, from "
        f"{result.started:%Y-%m-%d %H:%M} UTC, on {os.cpu_count()} cores ({platform.machine()}). "
        f"Python {platform.python_version()}, {result.database}, {versions}."
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table. A column is aligned as its last cell."""
    cells = list(rows)
    numeric = [not isinstance(cell, str) for cell in cells[-1]] if cells else [False] * len(columns)
    head = "".join(
        f"<th{' class=number' * is_number}>{escape(column)}</th>"
        for column, is_number in zip(columns, numeric, strict=True)
    )
    return f"<table><tr>{head}</tr>{''.join(map(table_row, cells))}</table>"


def table_row(cells: Sequence[Cell]) -> str:
    """Return a row of a table."""
    return f"<tr>{''.join(map(table_cell, cells))}</tr>"


def table_cell(cell: Cell) -> str:
    """Return a cell of a table."""
    if isinstance(cell, str):
        return f"<td>{escape(cell)}</td>"
    return f'<td class="number">{cell:,}</td>'


def check_row(check: Check) -> Sequence[Cell]:
    """Return result, claim and problems of a check, and what it was tested on."""
    style, word = ("bad", "failed") if check.problems else ("good", "passed")
    shown = Markup("").join(Markup("<li>{}</li>").format(problem) for problem in check.problems[:MAX_PROBLEMS])
    summary = Markup("<details open><summary>Problems: {}</summary><ul>{}</ul></details>")
    claim = escape(check.claim) + (summary.format(len(check.problems), shown) if check.problems else "")
    result = Markup('<span class="{}">{}</span>').format(style, word)
    return result, claim, Markup('<span class="soft">{}</span>').format(check.tested)


REQUEST_COLUMNS = ("Request", "Sent", "Done", "Refused", "Unknown", "p50 (s)", "p95 (s)", "Longest (s)")


def request_rows(operations: Sequence[Operation]) -> Iterator[Sequence[Cell]]:
    """Yield counts and latencies of each kind of request."""
    for kind in Kind:
        outcomes = Counter(one.outcome for one in operations if one.kind is kind)
        seconds = latencies(operations, kind)
        quantiles = np.percentile(seconds, (50, 95, 100)).round(2).tolist() if len(seconds) else [0, 0, 0]
        yield str(kind), outcomes.total(), *(outcomes[outcome] for outcome in Outcome), *quantiles


def code_table(operations: Sequence[Operation]) -> tuple[Sequence[str], list[Sequence[Cell]]]:
    """Return the columns and rows of a table that counts the codes of each kind of request."""
    counts = Counter((one.kind, one.code) for one in operations)
    codes = sorted({one.code for one in operations})
    rows: list[Sequence[Cell]] = [(str(kind), *(counts[kind, code] for code in codes)) for kind in Kind]
    return ("Request", *codes), rows


def latency_chart(result: SoakResult, kind: Kind, marks: Sequence[Mark]) -> str:
    """Return a chart of the latencies of one kind of request."""
    width = max(1.0, result.seconds / BINS)
    bins: dict[int, list[float]] = defaultdict(list)
    for one in result.operations:
        if one.kind is kind and one.code not in UNANSWERED and one.end <= result.seconds:
            bins[int(one.end / width)].append(one.seconds)
    lines = {
        percent: [((number + 0.5) * width, float(np.percentile(bins[number], percent))) for number in sorted(bins)]
        for percent in (50, 95)
    }
    series = [
        Series("95 of 100", "second", [lines[95]]),
        Series("median", "first", [lines[50]]),
    ]
    return line_chart(f"{kind} (s)", result.seconds, series, marks)


def worker_chart(result: SoakResult, quantity: str, marks: Sequence[Mark]) -> str:
    """Return a chart of what the workers used, with one line for each of them."""
    lives = [list(life) for _, life in groupby(result.samples, key=lambda sample: sample.pid)]
    parts: list[list[Point]] = [[(sample.time, QUANTITIES[quantity](sample)) for sample in life] for life in lives]
    return line_chart(quantity, result.seconds, [Series("worker", "first", parts)], marks)

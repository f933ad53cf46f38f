"""The report of an evaluation, as text for people and as JSON for programs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lookalike.domain.ranking_metrics import Estimate
from lookalike.usecases.evaluation import METRICS, EvaluationReport, SystemResult

FEW_CLUSTERS = 20
"""With fewer products or users, a bootstrap interval says little: the report has a note."""
CELL = 24
MAX_LISTED_CASES = 20


@dataclass(frozen=True, slots=True)
class Switch:
    """Steps that a switch to the second system needs besides new settings."""

    missing_vectors: int | None
    """Stored garments without a vector of its embedder. `None` if the database cannot be read."""
    command: str
    """The command that computes these vectors."""


def text_lines(report: EvaluationReport, switch: Switch | None) -> Iterator[str]:
    """Yield the lines of the report. `switch` is given if there are two systems."""
    for name, reason in report.skipped.items():
        yield f"  skipped {name}: {reason}"
    yield _counts_text(report)
    yield table_row("95 % intervals", [system.embedder for system in report.systems])
    for number, metric in enumerate(METRICS):
        yield table_row(metric, [format_estimate(system.estimates[number]) for system in report.systems])
    for system in report.systems:
        yield _cost_line(system, report.photos)
    if report.products < FEW_CLUSTERS:
        yield f"Note: {count_of(report.products, 'product')} only, so the intervals are rough."
    if switch is not None:
        yield from _switch_lines(report, switch)


def _counts_text(report: EvaluationReport) -> str:
    queries = len(report.queries)
    products = f" of {report.products} products" if report.products < queries else ""
    counts = f"{count_of(report.photos, 'photo')}, {queries} queries{products}"
    if not report.skipped:
        return counts
    left_out = count_of(report.skipped_queries, "query", "queries")
    return f"{counts}; skipped: {count_of(len(report.skipped), 'photo')} and {left_out}"


def count_of(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun. The plural ends in s by default."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def table_row(title: str, cells: Sequence[str]) -> str:
    """Return a line of a table: a title and the cells."""
    return f"{title:<{CELL}}{''.join(f'{cell:<{CELL}}' for cell in cells)}".rstrip()


def format_estimate(estimate: Estimate, sign: str = "") -> str:
    """Return a mean with its interval. `sign` is `+` for differences."""
    return f"{estimate.mean:{sign}.3f} ({estimate.low:{sign}.3f} to {estimate.high:{sign}.3f})"


def _cost_line(system: SystemResult, photos: int) -> str:
    return (
        f"{system.embedder} ({system.name}): {system.dim} numbers, {system.bytes_per_garment:,} bytes for each garment;"
        f" {system.garments / photos:.1f} garments and {system.milliseconds:.1f} ms for each photo"
    )


def _switch_lines(report: EvaluationReport, switch: Switch) -> Iterator[str]:
    """Say what a switch from the first system to the second would change."""
    now, then = report.systems
    better, worse, equal = changed_queries(report)
    yield f"Switching from {now.embedder} to {then.embedder}:"
    for metric, difference in zip(METRICS, report.differences, strict=True):
        verdict = "significant" if difference.differs_from_zero else "not significant: the interval contains 0"
        yield f"  {metric} changes by {format_estimate(difference, '+')}, {verdict}"
    yield f"  {better} queries get better, {worse} worse, {equal} stay equal (by nDCG@10)"
    yield f"  each garment takes {then.bytes_per_garment:,} bytes instead of {now.bytes_per_garment:,}"
    yield f"  each photo takes {then.milliseconds:.1f} ms instead of {now.milliseconds:.1f} ms, on this machine"
    yield f"  {_reembed_text(now.embedder == then.embedder, switch)}"


def _reembed_text(is_same: bool, switch: Switch) -> str:
    if is_same:
        return "both use the same embedder: stored vectors remain valid"
    if switch.missing_vectors is None:
        return f"every stored garment needs a new vector: run `{switch.command}` (the database cannot be read now)"
    if not switch.missing_vectors:
        return "no stored garment needs a new vector"
    if switch.missing_vectors == 1:
        return f"1 stored garment needs a new vector: run `{switch.command}`"
    return f"{switch.missing_vectors} stored garments need a new vector: run `{switch.command}`"


def changed_queries(report: EvaluationReport) -> tuple[int, int, int]:
    """Return how many queries have a better, a worse and an equal nDCG@10 with the second system."""
    changes = report.ndcg_changes.round(9)
    return int((changes > 0).sum()), int((changes < 0).sum()), int((changes == 0).sum())


def to_json(report: EvaluationReport, switch: Switch | None) -> dict[str, Any]:
    """Return the report as JSON values."""
    fields: dict[str, Any] = {
        "photos": report.photos,
        "queries": len(report.queries),
        "products": report.products,
        "skipped": report.skipped,
        "skipped_queries": report.skipped_queries,
        "systems": [_system_json(system, report.photos) for system in report.systems],
        "worst": [_case_json(report, position) for position in report.worst_queries(MAX_LISTED_CASES)],
    }
    if switch is not None:
        better, worse, equal = changed_queries(report)
        fields["switch"] = {
            "differences": estimates_json(METRICS, report.differences),
            "significant": {
                metric: difference.differs_from_zero
                for metric, difference in zip(METRICS, report.differences, strict=True)
            },
            "better": better,
            "worse": worse,
            "equal": equal,
            "missing_vectors": switch.missing_vectors,
            "command": switch.command,
        }
    return fields


def _system_json(system: SystemResult, photos: int) -> dict[str, Any]:
    return {
        "settings": system.name,
        "embedder": system.embedder,
        "metrics": estimates_json(METRICS, system.estimates),
        "dim": system.dim,
        "bytes_per_garment": system.bytes_per_garment,
        "garments_per_photo": round(system.garments / photos, 2),
        "milliseconds_per_photo": round(system.milliseconds, 2),
    }


def _case_json(report: EvaluationReport, position: int) -> dict[str, Any]:
    return {
        "query": report.queries[position],
        "systems": [
            {
                **dict(zip(METRICS, system.values[position].round(6).tolist(), strict=True)),
                **asdict(system.rankings[position]),
            }
            for system in report.systems
        ],
    }


def estimates_json(names: Sequence[str], estimates: Sequence[Estimate]) -> dict[str, dict[str, float]]:
    """Return mean, low and high of each metric by its name."""
    return {
        name: {end: round(value, 6) for end, value in asdict(estimate).items()}
        for name, estimate in zip(names, estimates, strict=True)
    }

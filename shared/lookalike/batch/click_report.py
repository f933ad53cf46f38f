"""The report about chosen results, as text for people and as JSON for programs."""

from collections.abc import Iterator
from typing import Any

from lookalike.batch.evaluation_report import FEW_CLUSTERS, count_of, estimates_json, format_estimate, table_row
from lookalike.usecases.click_evaluation import CLICK_METRICS, ClickReport


def click_lines(report: ClickReport) -> Iterator[str]:
    """Yield the lines of the report."""
    searches = f"{count_of(report.searches, 'search', 'searches')} of {count_of(report.users, 'user')}"
    yield f"{searches} with a chosen result; {report.mean_hits:.1f} results for each search"
    yield table_row("95 % intervals", CLICK_METRICS)
    yield table_row("chosen result", [format_estimate(estimate) for estimate in report.estimates])
    if report.users < FEW_CLUSTERS:
        yield f"Note: {count_of(report.users, 'user')} only, so the intervals are rough."


def clicks_to_json(report: ClickReport) -> dict[str, Any]:
    """Return the report as JSON values."""
    counts = {"searches": report.searches, "users": report.users, "mean_hits": round(report.mean_hits, 2)}
    return {**counts, "metrics": estimates_json(CLICK_METRICS, report.estimates)}

"""The report of a soak test shows every number and result, and needs nothing but itself."""

import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from tests.soak.charts import Mark, Series, line_chart
from tests.soak.check import Check
from tests.soak.operations import LOST, Kind, Operation, Outcome
from tests.soak.report import render, write_report
from tests.soak.run import Options, SoakResult
from tests.soak.sampling import Sample


def make_result(*checks: Check) -> SoakResult:
    """A result with searches of 1 to 100 s, one of which was lost, and two workers."""
    operations = [Operation(Kind.SEARCH, f"s{n}", 0, n, Outcome.DONE, "ok") for n in range(1, 101)]
    operations.append(Operation(Kind.SEARCH, "lost", 0, 120, Outcome.UNKNOWN, LOST))
    operations.append(Operation(Kind.REBUILD, "r", 30, 31, Outcome.DONE, "ok"))
    samples = [Sample(moment, 1 if moment < 60 else 2, 500 + moment, 30, 60) for moment in range(120)]
    return SoakResult(
        Options(2, 3, 4),
        datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        120,
        "MariaDB 10.11",
        operations,
        samples,
        [(59.5, "worker"), (90.0, "server")],
        list(checks),
    )


def test_report_states_conditions_results_and_numbers() -> None:
    page = render(make_result(Check("All is well", "12 things"), Check("No <b>", "3", ("a & b",))))
    for text in ("2 minutes", "3 clients", "seed 4", "2026-01-02 03:04", "MariaDB 10.11", "sqlalchemy"):
        assert text in page
    assert "1 of 2 checks failed" in page and "All is well" in page and "12 things" in page
    assert "No &lt;b&gt;" in page and "<li>a &amp; b</li>" in page
    searches = re.search(r"<td>search</td>((?:<td class=\"number\">[^<]*</td>)+)", page)
    assert searches
    cells = re.findall(r">([^<]+)</td>", searches.group(1))
    assert cells == ["101", "100", "0", "1", "50.5", "95.05", "100.0"]


def test_report_says_that_all_checks_passed() -> None:
    assert "all checks passed" in render(make_result(Check("All is well", "12 things")))


def test_report_is_one_file_without_scripts_and_references(tmp_path: Path) -> None:
    write_report(make_result(), tmp_path / "new" / "soak.html")
    page = (tmp_path / "new" / "soak.html").read_text()
    assert not re.search(r"<script|<link|<img|src=|href=|url\(|@import|https?:", page)


def test_charts_have_a_line_for_each_worker_and_marks() -> None:
    charts = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", render(make_result()), re.DOTALL)]
    assert [chart.get("aria-label") for chart in charts][-3:] == ["memory (MB)", "threads", "file handles"]
    assert [len(chart.findall("polyline")) for chart in charts[-3:]] == [2, 2, 2]
    for chart in charts:
        titles = [title.text for title in chart.iter("title")]
        assert titles == ["worker killed at 59.5 s", "server killed at 90.0 s", "index rebuilt at 31.0 s"]


def test_chart_scales_from_zero_to_a_round_value() -> None:
    chart = ElementTree.fromstring(
        line_chart("x", 100, [Series("a", "first", [[(0, 0), (100, 43)]])], [Mark(50, "m", "s")])
    )
    labels = [text.text for text in chart.findall("text") if text.get("class") == "value"]
    assert labels == ["0", "10", "20", "30", "40", "50"]
    (line,) = chart.findall("polyline")
    assert line.get("points") == "56.0,194.0 940.0,53.0"
    assert ElementTree.fromstring(line_chart("empty", 10, [])).findall("polyline") == []

"""Benchmark tables are written into the documentation between their markers."""

import re
from pathlib import Path

import pytest

from tests.benchmarks.report import END, PAGE, Report, start_of, write_reports, write_table

MODELS = {"generations", "full-models"}
SEARCH = {"query-kinds", "exact-search", "approximate-search", "million"}
SECTIONS = {"original", "throughput", "crash-safety", *MODELS, *SEARCH}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "benchmarks.md"
    file.write_text(f"Before.\n\n{start_of('speed')}\nold\n{END}\n\n{start_of('size')}\nkept\n{END}\n")
    return file


def test_table_replaces_only_its_own_section(page: Path) -> None:
    report = Report("speed", ("what", "ms"))
    report.add("search", "3.2")
    write_reports([report], ["numpy"], page)
    text = page.read_text()
    assert "| what | ms |\n| --- | --- |\n| search | 3.2 |" in text
    assert "old" not in text and "kept" in text and text.startswith("Before.")


def test_table_tells_date_machine_versions_and_command(page: Path) -> None:
    write_table("speed", "| a |", ["numpy"], page)
    assert re.search(
        r"Measured on 20\d\d-\d\d-\d\d on \d+ cores \(\w+\), Python 3\.\d+\.\d+, numpy [\d.]+", page.read_text()
    )
    assert "`python -m " in page.read_text()


def test_table_can_be_written_again(page: Path) -> None:
    write_table("speed", "| a |", (), page)
    once = page.read_text()
    write_table("speed", "| a |", (), page)
    assert page.read_text() == once


def test_unknown_section_is_refused(page: Path) -> None:
    with pytest.raises(ValueError, match="no section 'nothing'"):
        write_table("nothing", "| a |", (), page)


def test_row_with_too_few_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="2 columns, not 1"):
        Report("speed", ("what", "ms")).add("search")


def test_page_has_every_section_with_date_and_command() -> None:
    text = PAGE.read_text()
    assert set(re.findall(r"<!-- table: ([\w-]+) -->", text)) == SECTIONS
    for section in SECTIONS:
        block = text.partition(start_of(section))[2].partition(END)[0]
        assert re.search(r"[Mm]easured on 20\d\d-\d\d-\d\d|[Rr]ecorded before 20\d\d-\d\d", block), section
        assert re.search(r"`(python -m|make) [^`]+`", block), section

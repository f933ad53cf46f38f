"""Writes measured tables into `docs/benchmarks.md`, each between its markers, with date, machine, versions and command."""

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import lookalike

PAGE = Path(lookalike.__file__).parents[2] / "docs" / "benchmarks.md"
END = "<!-- end of table -->"


@dataclass
class Report:
    """The rows of one table, in the order in which they were measured."""

    section: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        """Raises `ValueError` if there are not as many cells as columns."""
        if len(cells) != len(self.columns):
            raise ValueError(f"{self.section} has {len(self.columns)} columns, not {len(cells)}")
        self.rows.append(cells)

    @property
    def markdown(self) -> str:
        lines = [self.columns, ("---",) * len(self.columns), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add `--write-docs`."""
    parser.add_argument("--write-docs", action="store_true", help=f"write the tables to docs/{PAGE.name}")


def write_reports(reports: Sequence[Report], libraries: Sequence[str], page: Path = PAGE) -> None:
    """Write the tables of one command. `libraries`: distributions whose versions matter for the figures."""
    for report in reports:
        write_table(report.section, report.markdown, libraries, page)


def write_table(section: str, markdown: str, libraries: Sequence[str] = (), page: Path = PAGE) -> None:
    """Replace the block of that section with the table and how it was measured.

    Raises `ValueError` if the page has no such section.
    """
    before, start, rest = page.read_text().partition(start_of(section))
    _, end, after = rest.partition(END)
    if not (start and end):
        raise ValueError(f"{page.name} has no section {section!r}: add {start_of(section)} and {END}")
    page.write_text(f"{before}{start}\n{conditions(libraries)}\n\n{markdown}\n{end}{after}")


def start_of(section: str) -> str:
    return f"<!-- table: {section} -->"


def conditions(libraries: Sequence[str]) -> str:
    """When, on what and with which command this process measures."""
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in libraries)]
    machine = f"{os.cpu_count()} cores ({platform.machine()})"
    return f"Measured on {datetime.now(UTC):%Y-%m-%d} on {machine}, {', '.join(versions)}, with\n`{command()}`:"


def command() -> str:
    """The command line of this process. Paths of this machine are replaced by FOLDER."""
    module = getattr(sys.modules["__main__"].__spec__, "name", Path(sys.argv[0]).name)
    arguments = ["FOLDER" if one.startswith(("/", "~")) else one for one in sys.argv[1:] if one != "--write-docs"]
    return shlex.join(["python", "-m", module, *arguments])

"""`lookalike details …`"""

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import EXISTING_FILE, open_services, progress_bar_of_length, report_errors
from lookalike.domain.errors import InvalidField

if TYPE_CHECKING:
    from lookalike.batch.details_file import InvalidLine, ValidLine
    from lookalike.bootstrap import Services

BATCH_SIZE = 500
"""Product details stored in one transaction."""


@click.group()
def details() -> None:
    """Product details."""


@details.command("import")
@click.argument("file", type=EXISTING_FILE)
@report_errors
def details_import(file: Path) -> None:
    """Insert or replace the product details in a CSV or JSONL FILE. Invalid lines are reported and skipped.

    May be repeated. No image is embedded again.
    """
    from lookalike.batch.details_file import InvalidLine, parse_details_file

    services, count, invalid = open_services(), 0, list[InvalidLine]()
    with progress_bar_of_length(file.stat().st_size, "Importing") as progress:
        lines = parse_details_file(file, progress.update)
        while batch := list(islice(lines, BATCH_SIZE)):
            valid = [line for line in batch if not isinstance(line, InvalidLine)]
            rejected = _store(services, valid)
            count += len(valid) - len(rejected)
            invalid += [*(line for line in batch if isinstance(line, InvalidLine)), *rejected]
    for line in invalid:
        click.echo(f"  line {line.line}: {line.problem}", err=True)
    click.echo(f"{count} product details stored, {len(invalid)} lines skipped")
    sys.exit(1 if invalid else 0)


def _store(services: "Services", lines: "list[ValidLine]") -> "list[InvalidLine]":
    """Store the lines in one transaction; if that fails, one by one. Returns the lines that cannot be stored."""
    from lookalike.batch.details_file import InvalidLine

    # the last of several lines with one id wins, as if they had been stored one after the other
    by_id = {line.details.image_id: line.details for line in lines}
    try:
        services.segments.put_details(by_id.values())
    except InvalidField as error:
        if len(lines) == 1:
            return [InvalidLine(lines[0].line, error.message)]
        return [rejected for line in lines for rejected in _store(services, [line])]
    return []

"""`lookalike details …` and `lookalike erase`."""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import FILE, bar_of, open_services, plainly
from lookalike.domain.errors import InvalidField, LookalikeError

if TYPE_CHECKING:
    from lookalike.bootstrap import Services
    from lookalike.cli.details_file import BadLine, GoodLine
    from lookalike.domain.filter import Filter
    from lookalike.usecases.erase import Receipt

TOGETHER = 500
"""Product details that are stored in one transaction."""


@click.group()
def details() -> None:
    """Product details."""


@details.command("import")
@click.argument("file", type=FILE)
@plainly
def details_import(file: Path) -> None:
    """Insert or replace the product details in a CSV or JSONL FILE; wrong lines are reported and left out.

    May be run again. Nothing is embedded anew.
    """
    from lookalike.cli.details_file import BadLine, read_details

    services, count, bad = open_services(), 0, list[BadLine]()
    with bar_of(file.stat().st_size, "Importing") as progress:
        rows = read_details(file, progress.update)
        while some := list(islice(rows, TOGETHER)):
            good = [one for one in some if not isinstance(one, BadLine)]
            wrong = _store(services, good)
            count += len(good) - len(wrong)
            bad += [*(one for one in some if isinstance(one, BadLine)), *wrong]
    for row in bad:
        click.echo(f"  line {row.line}: {row.problem}", err=True)
    click.echo(f"{count} product details stored, {len(bad)} lines left out")
    sys.exit(1 if bad else 0)


def _store(services: "Services", lines: "list[GoodLine]") -> "list[BadLine]":
    """Those that cannot be stored, found by storing one after the other where not all can."""
    from lookalike.cli.details_file import BadLine

    # of two of one name the later one counts
    each = {one.details.image_id: one.details for one in lines}
    try:
        services.segments.put_details(each.values())
    except InvalidField as error:
        if len(lines) == 1:
            return [BadLine(lines[0].line, error.message)]
        return [bad for one in lines for bad in _store(services, [one])]
    return []


@click.command()
@click.option("--segment", help="One garment, by its name.")
@click.option("--photo", help="A photo with all its garments.")
@click.option("--owner", help="All that this user stored, searched for and started, by the user's id.")
@click.option("--filter", "wanted", help='What fulfils a filter, as JSON: {"brand": "Marlow"}.')
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option(
    "--now", is_flag=True, help="Build the index anew and delete all older versions, which hold the vectors still."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@plainly
def erase(
    segment: str | None, photo: str | None, owner: str | None, wanted: str | None, dry_run: bool, now: bool, yes: bool
) -> None:
    """Erase garments for good: rows, pictures, and what searches remember of them. Gives a receipt, as JSON."""
    from dataclasses import asdict

    if sum(one is not None for one in (segment, photo, owner, wanted)) != 1:
        raise click.UsageError("Say what: one of --segment, --photo, --owner, --filter")
    if not (dry_run or yes):
        click.confirm("This cannot be undone. Erase?", abort=True, err=True)
    services = open_services()
    # first, since an index outside has none
    versions = services.versions if now and not dry_run else None
    receipt = _erased(services, segment, photo, owner, wanted, dry_run)
    click.echo(json.dumps(asdict(receipt), default=str))
    if versions:
        services.reindex.build()
        versions.prune(1)
    sys.exit(1 if receipt.remaining and not dry_run else 0)


def _erased(
    services: "Services", segment: str | None, photo: str | None, owner: str | None, wanted: str | None, dry_run: bool
) -> "Receipt":
    task = services.erase
    if segment is not None:
        return task.segment(segment, dry_run)
    if photo is not None:
        return task.photo(photo, dry_run)
    if owner is not None:
        return task.owner(owner, dry_run)
    return task.where(_conditions(wanted or ""), dry_run)


def _conditions(wanted: str) -> "Filter":
    from pydantic import ValidationError

    from lookalike.http.request_schemas import FilteredRequest

    try:
        found = FilteredRequest.model_validate({"filter": wanted}).conditions()
    except ValidationError as error:
        raise LookalikeError(f"--filter: {error.errors(include_input=False)[0]['msg']}") from None
    if not found:
        raise LookalikeError("--filter: an empty filter would erase everything")
    return found

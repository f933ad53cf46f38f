"""`lookalike erase`"""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import open_services, parse_filter, report_errors
from lookalike.domain.errors import LookalikeError

if TYPE_CHECKING:
    from lookalike.bootstrap import Services
    from lookalike.domain.filter import Filter
    from lookalike.usecases.erase import Receipt


@click.command()
@click.option("--segment", help="One garment, by its name.")
@click.option("--photo", help="A photo with all its garments.")
@click.option("--owner", help="Everything that the user with this id stored, searched for and started.")
@click.option("--filter", "filter_json", help='All garments that match a filter, as JSON: {"brand": "Marlow"}.')
@click.option("--account", is_flag=True, help="With --owner: also delete the account, and end its sessions.")
@click.option("--dry-run", is_flag=True, help="Only report what would be erased.")
@click.option("--now", is_flag=True, help="Rebuild the index and delete all older versions, which contain the vectors.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@report_errors
def erase(
    segment: str | None,
    photo: str | None,
    owner: str | None,
    filter_json: str | None,
    account: bool,
    dry_run: bool,
    now: bool,
    yes: bool,
) -> None:
    """Erase garments for good: rows, images, and entries of search histories. Prints a receipt as JSON."""
    if sum(option is not None for option in (segment, photo, owner, filter_json)) != 1:
        raise click.UsageError("Give exactly one of --segment, --photo, --owner, --filter")
    if account and owner is None:
        raise click.UsageError("--account needs --owner")
    if not (dry_run or yes):
        click.confirm("This cannot be undone. Erase?", abort=True, err=True)
    services = open_services()
    # before anything is erased, since this fails with an external index, which has no versions
    versions = services.versions if now and not dry_run else None
    receipt = _erase(services, segment, photo, owner, filter_json, dry_run)
    click.echo(json.dumps(asdict(receipt), default=str))
    if account and owner and not (dry_run or receipt.remaining):
        services.revoked_tokens.revoke(owner)
        click.echo("The account is deleted" if services.accounts.delete_account(owner) else "There was no account")
    if versions:
        services.reindex.build()
        versions.prune(1)
    sys.exit(1 if receipt.remaining and not dry_run else 0)


def _erase(
    services: "Services",
    segment: str | None,
    photo: str | None,
    owner: str | None,
    filter_json: str | None,
    dry_run: bool,
) -> "Receipt":
    task = services.erase
    if segment is not None:
        return task.erase_segment(segment, dry_run)
    if photo is not None:
        return task.erase_photo(photo, dry_run)
    if owner is not None:
        return task.erase_owner(owner, dry_run)
    return task.erase_matching(_parse_filter(filter_json or ""), dry_run)


def _parse_filter(filter_json: str) -> "Filter":
    conditions = parse_filter(filter_json)
    if not conditions:
        raise LookalikeError("--filter: an empty filter would erase everything")
    return conditions

"""`lookalike users …`, `lookalike db …` and `lookalike doctor`."""

import json
import sys

import click

from lookalike.cli.common import open_services, progress_bar_of_length, report_errors

PAGE_SIZE = 200
"""Accounts that are read at once."""


@click.group()
def users() -> None:
    """Accounts."""


@users.command("grant")
@click.argument("email")
@click.argument("role", type=click.Choice(["admin", "user"]))
@report_errors
def users_grant(email: str, role: str) -> None:
    """Make EMAIL an administrator, or an ordinary user again, from their next sign-in or refresh."""
    user = open_services().accounts.set_role(email, role)
    click.echo(f"{user.email} is {'an administrator' if user.is_admin else 'a user'} from their next token on")


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per account.")
@report_errors
def users_list(as_json: bool) -> None:
    """List all accounts with their role and last sign-in. With Supabase, needs SUPABASE_SERVICE_KEY."""
    accounts, page = open_services().accounts, 1
    while page:
        found = accounts.list_accounts(page, PAGE_SIZE)
        for one in found.accounts:
            times = [
                moment.isoformat(timespec="seconds") if moment else None for moment in (one.created, one.last_sign_in)
            ]
            if as_json:
                fields = {"id": one.id, "email": one.email, "role": one.role}
                click.echo(json.dumps({**fields, "created": times[0], "last_sign_in": times[1]}))
            else:
                click.echo(f"{one.id}  {one.role:<5}  {times[1] or 'no sign-in known':<25}  {one.email}")
        page = found.next_page or 0


@click.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
@report_errors
def db_upgrade() -> None:
    """Create the tables, or migrate them to the newest revision. Tables of the original system are migrated in place."""
    open_services().upgrade_database()
    click.echo("The database is up to date")


@db.command("adopt")
@report_errors
def db_adopt() -> None:
    """Migrate rows of the original system: images move to the bucket, vectors to the binary column.

    Run `lookalike db upgrade` first. Resumes where an earlier run stopped.
    """
    services = open_services()
    with progress_bar_of_length(services.adopt.legacy_rows.count_legacy_rows(), "Adopting") as progress:
        summary = services.adopt.run(progress.update)
    for row_id, reason in summary.skipped.items():
        click.echo(f"  skipped row {row_id}: {reason}")
    click.echo(f"{summary.adopted} rows adopted, {len(summary.skipped)} left unchanged")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.option("--repair", is_flag=True, help="Mend what does not fit together after a restore. Asks before it changes.")
@click.option("--yes", is_flag=True, help="With --repair: do not ask.")
@click.option(
    "--store-photos", is_flag=True, help="With --repair: store photos without a row again, without their owner."
)
@report_errors
def doctor(as_json: bool, repair: bool, yes: bool, store_photos: bool) -> None:
    """Check settings, database, bucket, models, index and sign-in, and whether rows, images and index fit together."""
    from lookalike.batch.diagnostics import run_checks

    if (yes or store_photos) and not repair:
        raise click.UsageError("--yes and --store-photos need --repair")
    if repair:
        _repair(yes, store_photos)
    results = list(run_checks(open_services()))
    if as_json:
        click.echo(json.dumps([{"what": one.part, "well": one.is_ok, "said": one.message} for one in results]))
    else:
        for result in results:
            click.echo(f"{'ok ' if result.is_ok else 'BAD'}  {result.part:<10} {result.message}")
    sys.exit(0 if all(result.is_ok for result in results) else 1)


def _repair(is_confirmed: bool, stores_photos: bool) -> None:
    """Show what would be mended, ask, and mend it. Prints to stderr, so that `--json` stays readable."""
    from lookalike.batch.repair_plan import describe_plan

    services = open_services()
    findings = services.inspection.run()
    if findings.is_empty:
        click.echo("Everything fits together: there is nothing to repair", err=True)
        return
    for line in describe_plan(findings, stores_photos):
        click.echo(line, err=True)
    if not is_confirmed:
        if not sys.stdin.isatty():
            raise click.ClickException("Nothing was changed. Run the command again with --yes to do this")
        click.confirm("Do this?", abort=True, err=True)
    with progress_bar_of_length(sum(findings.counts().values()), "Repairing") as progress:
        summary = services.repair.run(findings, stores_photos, lambda: progress.update(1))
    for name, count in summary.done.items():
        click.echo(f"{count} {name}", err=True)
    for name, reason in summary.failed.items():
        click.echo(f"  not mended: {name}: {reason}", err=True)

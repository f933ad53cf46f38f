"""`lookalike catalog …`"""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import open_services, report_errors

if TYPE_CHECKING:
    from lookalike.usecases.catalog_sync import SyncReport

MAX_SHOWN_FAILURES = 20
"""Failed lines that are printed. `--json` lists more."""


@click.group()
def catalog() -> None:
    """Products of shops."""


@catalog.command("sync")
@click.argument("feed", metavar="FEED")
@click.option("--name", help="Name under which the products are kept. Default: from the name of the file.")
@click.option("--currency", help="Currency of prices without one, such as EUR.")
@click.option("--dry-run", is_flag=True, help="Only count what would happen.")
@click.option("--delete-missing", is_flag=True, help="Delete products that the feed does not contain any more.")
@click.option("--force", is_flag=True, help="Also delete more than a fifth of the products.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@report_errors
def catalog_sync(
    feed: str, name: str | None, currency: str | None, dry_run: bool, delete_missing: bool, force: bool, as_json: bool
) -> None:
    """Bring the products of FEED up to date: a file, gs://BUCKET/OBJECT or an https address.

    Fetches and stores pictures that are new or have changed. May be stopped and repeated. With WEBHOOK_URL, sends an
    event at the end.
    """
    from lookalike.usecases.catalog_sync import FeedRequest, SyncOptions

    request = FeedRequest(feed, name, currency, SyncOptions(dry_run, delete_missing, force))
    report = open_services().feeds.sync(request, on_progress=show_progress)
    click.echo(json.dumps(asdict(report)) if as_json else format_report(report))
    sys.exit(1 if report.failed or report.refused else 0)


def show_progress(report: "SyncReport") -> None:
    """Show on a terminal how many lines are done. The number of all lines is known only at the end of a feed."""
    if sys.stderr.isatty():
        click.echo(f"\r{report.lines} lines, {report.failed} failed", err=True, nl=False)


def format_report(report: "SyncReport") -> str:
    """Format a report for people."""
    from lookalike.usecases.catalog_sync.feeds import summary

    lines = [
        f"  line {one.number}{f' ({one.product_id})' if one.product_id else ''}: {one.reason}"
        for one in report.failures[:MAX_SHOWN_FAILURES]
    ]
    if report.failed > MAX_SHOWN_FAILURES:
        lines.append(f"  … and {report.failed - MAX_SHOWN_FAILURES} more lines; --json lists them")
    return "\n".join([*lines, *summary(report)])

"""`lookalike export` and `lookalike import`."""

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.common import EXISTING_FOLDER, OUTPUT_FOLDER, open_services, progress_bar_of_length, report_errors

if TYPE_CHECKING:
    from lookalike.usecases.import_catalog import Counts, ImportReport

MAX_SHOWN_PROBLEMS = 20
"""Entries that were not imported which are printed. `--json` lists more."""


@click.command("export")
@click.argument("folder", type=OUTPUT_FOLDER)
@click.option("--without-images", is_flag=True, help="Only rows, vectors and the product feed.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@report_errors
def export_catalog(folder: Path, without_images: bool, as_json: bool) -> None:
    """Write the whole catalog to FOLDER, which must be empty: JSON Lines, vectors, images and a product feed.

    Rows are those of one moment. `lookalike import` reads the folder. Accounts and search histories are not exported.
    """
    from lookalike.batch.catalog_export import CatalogExport

    services = open_services()
    with ExitStack() as stack:

        def open_progress(length: int) -> Callable[[int, str], object]:
            bar: Any = stack.enter_context(progress_bar_of_length(length, "Exporting"))
            return lambda steps, label: bar.update(steps, label)

        exported = CatalogExport(services.transfer, services.store, folder, not without_images, open_progress).run()
    if as_json:
        click.echo((folder / "manifest.json").read_text("utf-8"))
        return
    counts = exported.counts
    click.echo(f"Exported {folder}: {_describe_counts(counts)}")
    if legacy := counts["legacy_garments"]:
        click.echo(f"Not exported: {legacy} garments of the original system; run `lookalike db adopt` first")
    if missing := counts.get("missing_images"):
        click.echo(f"Missing: {missing} images are not in the bucket; their photos cannot be imported")


def _describe_counts(counts: "Any") -> str:
    names = ("photos", "garments", "details", "products", "decisions", "images")
    return ", ".join(f"{counts[name]} {name}" for name in names if name in counts)


@click.command("import")
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@report_errors
def import_catalog(folder: Path, as_json: bool) -> None:
    """Import what `lookalike export` wrote to FOLDER. Loads no models.

    Entries that are stored already are left as they are: equal ones count as unchanged, others as conflicts. May be
    stopped and repeated.
    """
    from lookalike.batch.catalog_import import import_folder

    services = open_services()
    with ExitStack() as stack:

        def open_progress(length: int) -> Callable[[int], object]:
            bar: Any = stack.enter_context(progress_bar_of_length(length, "Importing"))
            return lambda steps: bar.update(steps)

        report = import_folder(services, folder, open_progress)
    click.echo(json.dumps(asdict(report)) if as_json else format_report(report))
    notice = services.missing_vectors.notice()
    if notice:
        click.echo(f"Note: {notice}.", err=as_json)
    sys.exit(1 if report.problem_count else 0)


def format_report(report: "ImportReport") -> str:
    """Format a report for people."""
    lines = [f"  {one.outcome.value}: {one.kind} {one.name}: {one.reason}" for one in report.problems]
    del lines[MAX_SHOWN_PROBLEMS:]
    if report.problem_count > MAX_SHOWN_PROBLEMS:
        lines.append(f"  … and {report.problem_count - MAX_SHOWN_PROBLEMS} more; --json lists them")
    lines += [
        f"Photos: {_format_counts(report.photos)}; {report.garments_stored} garments stored",
        f"Details: {_format_counts(report.details)}",
        f"Products: {_format_counts(report.products)}",
        f"Decisions about duplicates: {_format_counts(report.decisions)}",
    ]
    return "\n".join(lines)


def _format_counts(counts: "Counts") -> str:
    return f"{counts.stored} stored, {counts.unchanged} unchanged, {counts.conflict} conflicts, {counts.failed} failed"

"""`lookalike report`"""

from datetime import UTC, datetime
from pathlib import Path

import click

from lookalike.cli.common import OUTPUT_FILE, open_services, progress_bar_of_length, report_errors

STEPS = 7


@click.command()
@click.argument("file", type=OUTPUT_FILE)
@report_errors
def report(file: Path) -> None:
    """Write FILE, one HTML page about the quality of the catalog, which needs no network.

    It has counts, a map, outliers, likely wrong labels, duplicates and missing pictures.
    """
    from lookalike.batch.report_page import write_report

    services = open_services()
    with progress_bar_of_length(STEPS, "Reading") as progress:
        built = services.catalog_report.build(lambda step: progress.update(1, step))
        progress.update(1, "page")
        write_report(file, built, services.store, services.catalog, datetime.now(UTC))
    click.echo(
        f"Wrote {file}. Garments: {built.garments}, likely wrong labels: {built.wrong_label_count}, "
        f"groups of duplicates: {built.duplicate_group_count}, missing pictures: {built.missing_count}"
    )

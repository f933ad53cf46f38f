"""`lookalike closet`"""

import shutil
from pathlib import Path

import click

from lookalike.cli.common import OUTPUT_FILE, report_errors


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(1, 9999), help="Copy at most so many photos.  [default: all]")
@click.option("--query", type=OUTPUT_FILE, help="Also write a photo to search with. It is not in the closet.")
@report_errors
def closet(folder: Path, count: int | None, query: Path | None) -> None:
    """Copy the sample closet to FOLDER: photos of garments, and their product details in details.csv."""
    from lookalike.batch.sample_closet import FIRST_QUERY, copy_closet
    from lookalike.domain.errors import Misconfigured

    if not FIRST_QUERY.exists():
        raise Misconfigured("This installation has no sample photos; run the command from a clone of the project")
    copied = copy_closet(folder, count)
    if query:
        query.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(FIRST_QUERY, query)
    click.echo(f"{copied} photos copied to {folder}")

"""`lookalike closet`"""

from pathlib import Path

import click

from lookalike.cli.common import OUTPUT_FILE, report_errors

QUERY_SEED = 20_261


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(1, 9999), default=120, show_default=True)
@click.option("--query", type=OUTPUT_FILE, help="Also draw a photo to search with.")
@report_errors
def closet(folder: Path, count: int, query: Path | None) -> None:
    """Draw a sample closet: COUNT pictures of garments, flat and worn, and their product details."""
    from lookalike.local.closet import draw_closet, draw_scene

    folder.mkdir(parents=True, exist_ok=True)
    if query:
        draw_scene(QUERY_SEED, worn=True).image.save(query, quality=90)
    with click.progressbar(length=count, label="Drawing") as progress:
        draw_closet(folder, count, progress=progress.update)

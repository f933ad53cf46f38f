"""`lookalike find`: search by words, stored garments, a photo and a color."""

import json
from pathlib import Path

import click

from lookalike.cli.common import EXISTING_FILE, open_services, report_errors

LESS = -0.5
"""Weight of garments that the results should not be like."""


@click.command()
@click.argument("words", nargs=-1)
@click.option("--like", "liked", multiple=True, metavar="GARMENT", help="A stored garment to be similar to: its name.")
@click.option("--unlike", "unliked", multiple=True, metavar="GARMENT", help="A stored garment not to be similar to.")
@click.option("--photo", type=EXISTING_FILE, help="A photo to be similar to.")
@click.option("--color", metavar="HEX", help="Only garments of about this color, such as '#8a1c2b'.")
@click.option("--within", type=click.FloatRange(0, 100), default=25, show_default=True, help="CIEDE2000 difference.")
@click.option("--num", type=click.IntRange(1, 100), default=10, show_default=True, help="Number of results.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@report_errors
def find(
    words: tuple[str, ...],
    liked: tuple[str, ...],
    unliked: tuple[str, ...],
    photo: Path | None,
    color: str | None,
    within: float,
    num: int,
    as_json: bool,
) -> None:
    """Find stored garments by WORDS, by garments that they should be like, by a photo and by a color."""
    from lookalike.batch.photos import run_search
    from lookalike.domain.color import parse_hex
    from lookalike.http.handlers.responses import match_response
    from lookalike.usecases.search import (
        ColorCondition,
        GarmentExample,
        Include,
        PhotoExample,
        SearchRequest,
        TextExample,
    )
    from lookalike.usecases.search.request import Example

    if not (words or liked or photo or color):
        raise click.UsageError("Name WORDS, --like, --photo or --color.")
    try:
        wanted = ColorCondition(parse_hex(color), within) if color else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--color") from error
    examples: list[Example] = [
        *(GarmentExample(name) for name in liked),
        *(GarmentExample(name, LESS) for name in unliked),
        *([PhotoExample(photo.read_bytes())] if photo else []),
        *([TextExample(" ".join(words))] if words else []),
    ]
    result = run_search(open_services(), SearchRequest(examples, num, include=Include.NONE, color=wanted))
    matches = result.best_matches(num)
    if as_json:
        understood = [{"text": one.text, "as": one.field, "value": one.value} for one in result.understood]
        found = {"results": [match_response(match) for match in matches], "understood": understood}
        click.echo(json.dumps({**found, "ignored": list(result.ignored)}))
        return
    for one in result.understood:
        click.echo(f"understood: {one.text} as {one.field} {one.value}")
    if result.ignored:
        click.echo(f"ignored: {', '.join(result.ignored)}")
    for match in matches:
        similarity = "" if match.similarity is None else f"{match.similarity:6.3f}  "
        click.echo(f"  {similarity}{match.segment.name}  {match.segment.label or 'whole photo'}")

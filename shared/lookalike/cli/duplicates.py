"""`lookalike duplicates`: finds, decides and merges copies."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import OUTPUT_FILE, open_services, progress_bar_of_length, report_errors

if TYPE_CHECKING:
    from lookalike.bootstrap import Services
    from lookalike.domain.duplicates import DuplicateGroup, DuplicatePair

PAIR = (str, str)
PROGRESS_STEPS = 100


@click.command()
@click.option("--state", type=click.Choice(["open", "accepted", "rejected", "all"]), default="open", show_default=True)
@click.option("--threshold", type=click.FloatRange(0.5, 1), help="Cosine of copies.  [default: of the embedder]")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="Groups to print.")
@click.option("--out", type=OUTPUT_FILE, help="Write HTML pages with the pictures side by side.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each pair.")
@click.option("--accept", type=PAIR, multiple=True, metavar="GARMENT GARMENT", help="Both show the same.")
@click.option("--reject", type=PAIR, multiple=True, metavar="GARMENT GARMENT", help="They are different.")
@click.option("--reopen", type=PAIR, multiple=True, metavar="GARMENT GARMENT", help="Remove an earlier decision.")
@click.option("--merge", is_flag=True, help="Merge accepted pairs: keep the better picture, erase the other garment.")
@click.option("--yes", is_flag=True, help="Merge without asking for confirmation.")
@report_errors
def duplicates(
    state: str,
    threshold: float | None,
    limit: int,
    out: Path | None,
    as_json: bool,
    accept: tuple[tuple[str, str], ...],
    reject: tuple[tuple[str, str], ...],
    reopen: tuple[tuple[str, str], ...],
    merge: bool,
    yes: bool,
) -> None:
    """List garments that are copies of each other, decide about pairs, and merge accepted ones.

    A decision stays until one of the garments is deleted; pairs that are decided are not listed again.
    """
    services = open_services()
    if decided := _decide(services, {"accepted": accept, "rejected": reject, "open": reopen}):
        click.echo(f"{decided} pair{'s' * (decided != 1)} decided")
    if merge:
        if not yes:
            click.confirm("This erases the worse picture of every accepted pair. Merge?", abort=True, err=True)
        _merge(services)
    if not (decided or merge) or out:
        _list(services, state, threshold, limit, out, as_json)


def _decide(services: "Services", decisions: dict[str, tuple[tuple[str, str], ...]]) -> int:
    from lookalike.domain.duplicates import Decision

    for name, pairs in decisions.items():
        for first, second in pairs:
            services.duplicates.decide(first, second, None if name == "open" else Decision(name))
    return sum(map(len, decisions.values()))


def _merge(services: "Services") -> None:
    count = 0
    for merge in services.duplicates.merge_accepted():
        receipt = {"kept": merge.kept.name, "moved": merge.moved, **asdict(merge.receipt)}
        click.echo(json.dumps(receipt, default=str))
        count += 1
    click.echo(f"{count} pair{'s' * (count != 1)} merged", err=True)


def _list(
    services: "Services", state: str, threshold: float | None, limit: int, out: Path | None, as_json: bool
) -> None:
    from lookalike.domain.duplicates import PairState, group_pairs

    review, steps_shown = services.duplicates, 0
    with progress_bar_of_length(PROGRESS_STEPS, "Comparing") as progress:

        def show(share: float) -> None:
            nonlocal steps_shown
            steps = round(share * PROGRESS_STEPS)
            progress.update(steps - steps_shown)
            steps_shown = steps

        found = review.find_pairs(show, threshold)
    pairs = review.add_decisions(found, PairState(state))
    groups = group_pairs(pairs)
    if as_json:
        _print_pairs(services, pairs)
    else:
        _print_groups(services, groups[:limit])
        bound = threshold or review.threshold
        click.echo(f"{len(pairs)} pairs in {len(groups)} groups with a similarity of at least {bound:g} ({state})")
    if out:
        _write_pages(services, out, groups, threshold or review.threshold)


def _write_pages(services: "Services", out: Path, groups: "list[DuplicateGroup]", threshold: float) -> None:
    from lookalike.batch.duplicates_page import GROUPS_PER_PAGE, write_duplicates_pages

    with progress_bar_of_length(max(1, -(-len(groups) // GROUPS_PER_PAGE)), "Writing") as progress:
        pages = write_duplicates_pages(
            out, groups, services.store, services.catalog, threshold, lambda: progress.update(1)
        )
    more = f" and {len(pages) - 1} more pages, up to {pages[-1].name}" if len(pages) > 1 else ""
    click.echo(f"Wrote {out}{more}", err=True)


def _print_pairs(services: "Services", pairs: "list[DuplicatePair]") -> None:
    segments = services.catalog.segments(sorted({row_id for pair in pairs for row_id in pair.row_ids}))
    for pair in pairs:
        if pair.first in segments and pair.second in segments:
            names = [segments[row_id].name for row_id in pair.row_ids]
            line = {"garments": names, "similarity": round(pair.similarity, 6), "decision": pair.decision}
            click.echo(json.dumps(line))


def _print_groups(services: "Services", groups: "list[DuplicateGroup]") -> None:
    segments = services.catalog.segments(sorted({row_id for group in groups for row_id in group.row_ids}))
    for group in groups:
        names = [segments[row_id].name for row_id in group.row_ids if row_id in segments]
        closest = max(pair.similarity for pair in group.pairs)
        click.echo(f"  {closest:.4f}  {'  '.join(names)}")

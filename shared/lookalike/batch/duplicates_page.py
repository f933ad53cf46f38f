"""The pages of `lookalike duplicates --out`: groups of copies with their pictures side by side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from lookalike.batch.html_page import Thumbnails, figure, load_thumbnails, write_page
from lookalike.domain.duplicates import DuplicateGroup, DuplicatePair
from lookalike.domain.model import Segment
from lookalike.domain.ports import Catalog, ObjectStore

MAX_FIGURES = 24
"""Garments of one group on the page."""
MAX_PAIRS = 100
"""Pairs of one group in its list."""
GROUPS_PER_PAGE = 200
"""About 5 MB of thumbnails."""
STYLE = "nav{display:flex;gap:4px 16px;margin:12px 0}nav a{color:var(--accent)}.pairs{flex-basis:100%}"


def write_duplicates_pages(
    path: Path,
    groups: Sequence[DuplicateGroup],
    store: ObjectStore,
    catalog: Catalog,
    threshold: float,
    on_page: Callable[[], object] = lambda: None,
) -> list[Path]:
    """Write the groups as HTML files of `GROUPS_PER_PAGE` groups and return them: `NAME.html`, then `NAME-2.html` etc.

    Only one page at a time is in memory. Garments that were deleted meanwhile are left out. `on_page` is called after
    each page.
    """
    starts = range(0, max(1, len(groups)), GROUPS_PER_PAGE)
    paths = [path if number == 1 else path.with_stem(f"{path.stem}-{number}") for number in range(1, len(starts) + 1)]
    intro = f"{len(groups):,} group{'s' * (len(groups) != 1)} of garments with a similarity of at least {threshold:g}."
    for number, start in enumerate(starts):
        shown = groups[start : start + GROUPS_PER_PAGE]
        segments = catalog.segments([row_id for group in shown for row_id in group.row_ids[:MAX_FIGURES]])
        thumbnails = load_thumbnails(store, catalog, segments.values())
        links = "".join(_links(paths, number))
        body = [f'<p class="muted">{escape(intro)}</p>', links, *groups_parts(shown, segments, thumbnails), links]
        write_page(paths[number], "Duplicates", body, STYLE)
        on_page()
    return paths


def _links(paths: Sequence[Path], number: int) -> Iterator[str]:
    """Yield links to the pages before and after, and to the first and the last one."""
    if len(paths) == 1:
        return
    targets = {"First": 0, "Previous": number - 1, "Next": number + 1, "Last": len(paths) - 1}
    yield f'<nav aria-label="Pages"><span>Page {number + 1:,} of {len(paths):,}</span>'
    for text, target in targets.items():
        if 0 <= target < len(paths) and target != number:
            # a relative address without a scheme: a name can contain a colon
            yield f'<a href="./{quote(paths[target].name)}">{text}</a>'
    yield "</nav>"


def groups_parts(
    groups: Sequence[DuplicateGroup], segments: Mapping[int, Segment], thumbnails: Thumbnails
) -> Iterator[str]:
    """Yield the HTML of all groups."""
    yield '<div class="groups">'
    for group in groups:
        yield from _group_parts(group, segments, thumbnails)
    yield "</div>"


def _group_parts(group: DuplicateGroup, segments: Mapping[int, Segment], thumbnails: Thumbnails) -> Iterator[str]:
    """Yield the HTML of a group: its pictures side by side, each with its closest pair, and all pairs of more than two."""
    yield '<section class="group">'
    for row_id in group.row_ids[:MAX_FIGURES]:
        if row_id in segments:
            yield figure(segments[row_id], thumbnails.get(row_id), *_captions(row_id, group, segments))
    if len(group.row_ids) > MAX_FIGURES:
        yield f'<p class="muted">and {len(group.row_ids) - MAX_FIGURES} more</p>'
    if len(group.row_ids) > 2:
        yield from _pair_list(group, segments)
    yield "</section>"


def _pair_list(group: DuplicateGroup, segments: Mapping[int, Segment]) -> Iterator[str]:
    yield f'<details class="pairs"><summary>{len(group.pairs)} pairs</summary><ul>'
    for pair in sorted(group.pairs, key=lambda pair: -pair.similarity)[:MAX_PAIRS]:
        names = [segments[row_id].name for row_id in pair.row_ids if row_id in segments]
        yield f"<li>{_describe(pair)} <code>{escape('  '.join(names))}</code></li>"
    yield "</ul></details>"


def _captions(row_id: int, group: DuplicateGroup, segments: Mapping[int, Segment]) -> Iterator[str]:
    segment = segments[row_id]
    yield segment.label or "whole photo"
    yield _describe(max((pair for pair in group.pairs if row_id in pair.row_ids), key=lambda pair: pair.similarity))


def _describe(pair: DuplicatePair) -> str:
    return f"{pair.similarity:.4f}{f', {pair.decision.value}' if pair.decision else ''}"

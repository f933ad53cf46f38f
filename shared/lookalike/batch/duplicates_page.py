"""The page of `lookalike duplicates --out`: groups of copies with their pictures side by side."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from lookalike.batch.html_page import Thumbnails, figure, load_thumbnails, write_page
from lookalike.domain.duplicates import DuplicateGroup
from lookalike.domain.model import Segment
from lookalike.domain.ports import Catalog, ObjectStore

MAX_FIGURES = 24
"""Garments of one group on the page."""


def write_duplicates_page(
    path: Path, groups: Sequence[DuplicateGroup], store: ObjectStore, catalog: Catalog, threshold: float
) -> None:
    """Write the groups as one HTML file. Garments that were deleted meanwhile are left out."""
    shown = [row_id for group in groups for row_id in group.row_ids[:MAX_FIGURES]]
    segments = catalog.segments(shown)
    thumbnails = load_thumbnails(store, catalog, segments.values())
    intro = f"{len(groups)} group{'s' * (len(groups) != 1)} of garments with a similarity of at least {threshold:g}."
    body = [f'<p class="muted">{escape(intro)}</p>']
    body += groups_parts(groups, segments, thumbnails)
    write_page(path, "Duplicates", body)


def groups_parts(
    groups: Sequence[DuplicateGroup], segments: Mapping[int, Segment], thumbnails: Thumbnails
) -> Iterator[str]:
    """Yield the HTML of all groups."""
    yield '<div class="groups">'
    for group in groups:
        yield from _group_parts(group, segments, thumbnails)
    yield "</div>"


def _group_parts(group: DuplicateGroup, segments: Mapping[int, Segment], thumbnails: Thumbnails) -> Iterator[str]:
    """Yield the HTML of a group: its pictures, each with its closest pair, and what is left out."""
    yield '<section class="group">'
    for row_id in group.row_ids[:MAX_FIGURES]:
        if row_id in segments:
            yield figure(segments[row_id], thumbnails.get(row_id), *_captions(row_id, group, segments))
    if len(group.row_ids) > MAX_FIGURES:
        yield f'<p class="muted">and {len(group.row_ids) - MAX_FIGURES} more</p>'
    yield "</section>"


def _captions(row_id: int, group: DuplicateGroup, segments: Mapping[int, Segment]) -> Iterator[str]:
    segment = segments[row_id]
    yield segment.label or "whole photo"
    closest = max((pair for pair in group.pairs if row_id in pair.row_ids), key=lambda pair: pair.similarity)
    decision = f", {closest.decision.value}" if closest.decision else ""
    yield f"{closest.similarity:.4f}{decision}"

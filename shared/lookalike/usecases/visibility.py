"""Visibility: restricts callers to the stored garments that satisfy the filter of their API key."""

from collections.abc import Sequence

from lookalike.domain.filter import Filter
from lookalike.domain.model import Segment
from lookalike.domain.ports import Catalog


def visible_segments(catalog: Catalog, segments: Sequence[Segment], scope: Filter) -> list[Segment]:
    """Return the segments that satisfy the scope, in the same order. Without conditions, these are all."""
    if not scope or not segments:
        return list(segments)
    row_ids = [segment.row_id for segment in segments]
    visible = set(catalog.matching_row_ids(None, scope, row_ids).tolist())
    return [segment for segment in segments if segment.row_id in visible]

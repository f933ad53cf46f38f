"""Requests for pages of garments or products."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lookalike.domain.browse import Sort
from lookalike.domain.filter import Filter
from lookalike.usecases.search import ColorCondition


@dataclass(frozen=True, slots=True)
class BrowseRequest:
    """Conditions, order and place of a page. Fields have the names of the API."""

    filter: Filter = field(default_factory=dict)
    scope: Filter = field(default_factory=dict)
    """Conditions of the caller's API key: other garments and products do not exist for the caller."""
    color: ColorCondition | None = None
    text: str | None = None
    """Words, which become conditions."""
    sort: Sort = field(default_factory=Sort)
    limit: int = 50
    facets: Sequence[str] = ()
    cursor: str | None = None
    """The cursor of the previous page."""

    def fingerprint(self) -> str:
        """Return a hash of everything that determines the rows and their order."""
        return hashlib.sha256(repr(replace(self, limit=0, facets=(), cursor=None)).encode()).hexdigest()

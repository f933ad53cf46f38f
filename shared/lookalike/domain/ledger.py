"""Queries of the ingestion ledger: which entries, in pages, and how many."""

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.domain.model import LedgerEntry, LedgerStatus

REEMBED_PREFIX = "reembed:"
"""Start of `bucket` in entries about segments that could not be embedded again. They are not about ingested objects."""


@dataclass(frozen=True, slots=True)
class LedgerSelection:
    """Selects the entries of ingested objects that satisfy all given conditions."""

    status: LedgerStatus | None = None
    bucket: str | None = None
    prefix: str = ""
    """Beginning of the object's name."""
    names: Sequence[str] | None = None
    """Names of objects of `bucket`, at most 500. Without a bucket, they select nothing."""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A part of the selected entries, newest first."""

    entries: list[LedgerEntry]
    cursor: str | None
    """Where the next page starts. `None` on the last page."""

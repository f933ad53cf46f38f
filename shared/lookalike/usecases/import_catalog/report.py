"""Report of an import."""

from dataclasses import dataclass, field
from enum import StrEnum

MAX_LISTED_PROBLEMS = 1_000
"""Conflicts and failures that a report lists. All are counted."""


class Outcome(StrEnum):
    """Outcome of an imported entry."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    """An equal entry was stored already."""
    CONFLICT = "conflict"
    """Another entry has the name. It stays as it is."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry that was not imported."""

    kind: str
    name: str
    outcome: Outcome
    reason: str


@dataclass
class Counts:
    """Number of entries of one kind by their outcome."""

    stored: int = 0
    unchanged: int = 0
    conflict: int = 0
    failed: int = 0


@dataclass
class ImportReport:
    """Outcome of an import."""

    photos: Counts = field(default_factory=Counts)
    details: Counts = field(default_factory=Counts)
    products: Counts = field(default_factory=Counts)
    decisions: Counts = field(default_factory=Counts)
    garments_stored: int = 0
    vectors_added: int = 0
    """Vectors that garments stored before did not have."""
    problems: list[Problem] = field(default_factory=list)
    """The first conflicts and failures."""

    @property
    def problem_count(self) -> int:
        """Number of entries that were not imported."""
        return sum(counts.conflict + counts.failed for counts in self._kinds)

    @property
    def done(self) -> int:
        """Number of entries that were processed so far."""
        return sum(sum(vars(counts).values()) for counts in self._kinds)

    @property
    def _kinds(self) -> tuple[Counts, ...]:
        return self.photos, self.details, self.products, self.decisions

    def add(self, kind: str, name: str, outcome: Outcome, reason: str = "") -> None:
        """Count an entry. `kind` is the name of a field with counts."""
        counts: Counts = getattr(self, kind)
        setattr(counts, outcome.value, getattr(counts, outcome.value) + 1)
        if outcome in (Outcome.CONFLICT, Outcome.FAILED) and len(self.problems) < MAX_LISTED_PROBLEMS:
            self.problems.append(Problem(kind, name, outcome, reason))

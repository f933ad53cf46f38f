"""The result of a check."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A claim, what it was tested on, and what contradicts it."""

    claim: str
    tested: str
    """How much was compared, such as `90 searches`."""
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, claim: str, tested: str, problems: Iterable[str]) -> "Check":
        """Return a check with all problems."""
        return cls(claim, tested, tuple(problems))

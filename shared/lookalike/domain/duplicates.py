"""Duplicates: pairs of garments whose vectors are so similar that both show the same picture, and their groups."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    """An operator's decision about a pair."""

    ACCEPTED = "accepted"
    """Both show the same picture of the same garment."""
    REJECTED = "rejected"
    """They are different."""


class PairState(StrEnum):
    """Which pairs to list."""

    OPEN = "open"
    """Pairs without a decision."""
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ALL = "all"

    def includes(self, decision: Decision | None) -> bool:
        """Return whether pairs with this decision are listed."""
        return self is PairState.ALL or self.value == (decision or PairState.OPEN).value


@dataclass(frozen=True, slots=True, order=True)
class DuplicatePair:
    """Two rows with the cosine of their vectors."""

    first: int
    """The smaller row id."""
    second: int
    similarity: float
    decision: Decision | None = None

    @property
    def row_ids(self) -> tuple[int, int]:
        """Both row ids, ascending."""
        return self.first, self.second


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Rows that are connected by pairs."""

    row_ids: tuple[int, ...]
    """Ascending."""
    pairs: tuple[DuplicatePair, ...]
    """Ordered by row ids."""


def group_pairs(pairs: Iterable[DuplicatePair]) -> list[DuplicateGroup]:
    """Return the connected components of pairs, ordered by their smallest row id."""
    parents: dict[int, int] = {}

    def find_root(row_id: int) -> int:
        parents.setdefault(row_id, row_id)
        while parents[row_id] != row_id:
            # path halving
            parents[row_id] = parents[parents[row_id]]
            row_id = parents[row_id]
        return row_id

    ordered = sorted(pairs)
    for pair in ordered:
        roots = sorted(map(find_root, pair.row_ids))
        parents[roots[1]] = roots[0]
    members: dict[int, list[DuplicatePair]] = {}
    for pair in ordered:
        members.setdefault(find_root(pair.first), []).append(pair)
    return [_to_group(members[root]) for root in sorted(members)]


def _to_group(pairs: Sequence[DuplicatePair]) -> DuplicateGroup:
    return DuplicateGroup(tuple(sorted({row_id for pair in pairs for row_id in pair.row_ids})), tuple(pairs))


def with_decisions(
    pairs: Iterable[DuplicatePair], decisions: Mapping[tuple[int, int], Decision], state: PairState
) -> Iterator[DuplicatePair]:
    """Yield the pairs that `state` includes, with their decisions."""
    for pair in pairs:
        decision = decisions.get(pair.row_ids)
        if state.includes(decision):
            yield DuplicatePair(pair.first, pair.second, pair.similarity, decision)


def connected_rows(row_id: int, neighbors: Callable[[int], Iterable[int]], limit: int) -> set[int]:
    """Return the rows that can be reached from a row over its neighbors, at most about `limit`."""
    found, waiting = {row_id}, [row_id]
    while waiting and len(found) < limit:
        new = set(neighbors(waiting.pop(0))) - found
        found |= new
        waiting += sorted(new)
    return found

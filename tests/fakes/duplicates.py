"""Decisions about duplicates of the catalog in memory."""

from collections.abc import Sequence
from dataclasses import replace

from lookalike.domain.duplicates import Decision
from lookalike.domain.history import PastSearch
from lookalike.domain.model import Segment
from tests.fakes.browse import FakeBrowse
from tests.fakes.database import transaction


class FakeDuplicates(FakeBrowse):
    """Queries of the port `DuplicateDecisions`."""

    def __init__(self) -> None:
        super().__init__()
        self._decisions: dict[tuple[int, int], Decision] = {}
        self._searches: dict[tuple[str, str], PastSearch] = {}

    def _existing_rows(self, row_ids: Sequence[int]) -> dict[int, Segment]:
        return {one.row_id: one for one in self._segments_with_vector(None) if one.row_id in row_ids}

    @transaction
    def next_row_ids(self, embedder: str, after: int, limit: int) -> list[int]:
        return [one.row_id for one in self._segments_with_vector(embedder) if one.row_id > after][:limit]

    @transaction
    def decide_duplicate(self, first: int, second: int, decision: Decision | None) -> bool:
        pair = min(first, second), max(first, second)
        if len(self._existing_rows(pair)) < 2:
            return False
        self._decisions.pop(pair, None)
        if decision is not None:
            self._decisions[pair] = decision
        return True

    @transaction
    def duplicate_decisions(self, row_ids: Sequence[int]) -> dict[tuple[int, int], Decision]:
        return {pair: decision for pair, decision in self._decisions.items() if set(pair) & set(row_ids)}

    @transaction
    def accepted_duplicates(self, after: tuple[int, int], limit: int) -> list[tuple[int, int]]:
        accepted = [pair for pair, decision in self._decisions.items() if decision is Decision.ACCEPTED]
        return sorted(pair for pair in accepted if pair > after)[:limit]

    def forget_decisions(self, row_id: int) -> None:
        """Delete the decisions about a deleted row."""
        self._decisions = {pair: decision for pair, decision in self._decisions.items() if row_id not in pair}

    @transaction
    def move_references(self, old: int, new: int) -> int:
        segments = self._existing_rows([old, new])
        if len(segments) < 2:
            return 0
        count = sum(self._move_history(key, old, new) for key in list(self._searches))
        for pair in [pair for pair in self._decisions if old in pair and new not in pair]:
            first, second = sorted((sum(pair) - old, new))
            self._decisions.setdefault((first, second), self._decisions[pair])
        photo, other = segments[old].photo, segments[new].photo
        is_last = sum(one.photo == photo for one in self._segments_with_vector(None)) == 1
        for key, entry in self._ledger.items():
            if is_last and photo != other and entry.photo == photo:
                self._ledger[key] = replace(entry, photo=other)
                count += 1
        return count

    def _move_history(self, key: tuple[str, str], old: int, new: int) -> int:
        search = self._searches[key]
        with_new = {hit.garment_index for hit in search.hits if hit.row_id == new}
        hits = [
            replace(hit, row_id=new) if hit.row_id == old and hit.garment_index not in with_new else hit
            for hit in search.hits
        ]
        is_chosen = any(choice.row_id == new for choice in search.choices)
        choices = tuple(
            replace(choice, row_id=new) if choice.row_id == old and not is_chosen else choice
            for choice in search.choices
        )
        self._searches[key] = replace(search, hits=hits, choices=choices)
        pairs = [*zip(search.hits, hits, strict=True), *zip(search.choices, choices, strict=True)]
        return sum(before != now for before, now in pairs)

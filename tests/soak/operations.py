"""The operations of a soak test as their clients saw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.soak.history import Read, Write

SIMILARITY_TOLERANCE = 0.001
"""Difference of a similarity that the server computed from the one that the test computed."""


class Kind(StrEnum):
    """What a client asked for."""

    UPLOAD = "upload"
    REPEAT = "upload again"
    CONFLICT = "upload another photo"
    """Under a name that is taken."""
    SEARCH = "search"
    DELETE = "delete"
    CANCEL = "cancel"
    REBUILD = "rebuild"


class Outcome(StrEnum):
    """What a client knows about the effect of an operation."""

    DONE = "done"
    REFUSED = "refused"
    """It had no effect."""
    UNKNOWN = "unknown"
    """It had its effect, or none, or will have it later."""


JOBS = (Kind.UPLOAD, Kind.REPEAT, Kind.CONFLICT, Kind.SEARCH)
"""Operations that have a row in the table of jobs and can be cancelled."""
UNREACHABLE, LOST, TIMEOUT = "unreachable", "connection lost", "no answer"
UNANSWERED = (UNREACHABLE, LOST, TIMEOUT)
"""Codes of operations without a response: not sent, cut off, and longer than any request may take."""
LOAD_CODES = {"ok", "busy", "deadline_exceeded", "unavailable", "cancelled", UNREACHABLE, LOST}
"""Codes of requests that the server works on for a while. Any of them can occur under load and when it is killed."""
ALLOWED_CODES = {
    Kind.UPLOAD: LOAD_CODES,
    Kind.REPEAT: LOAD_CODES,
    Kind.CONFLICT: LOAD_CODES - {"ok"} | {"conflict"},
    Kind.SEARCH: LOAD_CODES,
    Kind.DELETE: {"ok", "not_found", "unavailable", UNREACHABLE, LOST},
    Kind.CANCEL: {"ok", "not_found", "conflict", "unavailable", UNREACHABLE, LOST},
    Kind.REBUILD: {"ok", "conflict", "unavailable", UNREACHABLE, LOST},
}
"""`ok`, error codes of the API, and the codes of operations without a response."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The garments that a search returned."""

    query: int
    """Row of `PhotoPool.similarities`."""
    similarities: Mapping[str, float]
    """By the garment's name."""
    is_complete: bool
    """Whether the answer had room for every garment in the index."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request and its outcome. Times are in seconds since the start of the load."""

    kind: Kind
    request_id: str
    """Empty if the server was to choose it, and did not respond."""
    start: float
    end: float
    outcome: Outcome
    code: str
    names: tuple[str, ...] = ()
    """Garments to write or to delete."""
    listed: tuple[str, ...] = ()
    """Garments that the response says were stored or deleted."""
    answer: Answer | None = None
    target: str = ""
    """Request that was to be cancelled."""
    has_chosen_id: bool = True
    """Whether the client chose `request_id`."""

    @property
    def seconds(self) -> float:
        """The latency."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Covered:
    """The garments that a search must return if they are present."""

    similarities: NDArray[np.float32]
    """Similarity of the query to each garment of the pool."""
    columns: Mapping[str, int]
    """The garment of the pool that is stored under a name."""
    minimum: float
    """Lowest similarity in the answer. It may or may not contain all garments that are exactly as similar."""

    def __contains__(self, name: object) -> bool:
        column = self.columns.get(str(name))
        return column is not None and float(self.similarities[column]) > self.minimum + SIMILARITY_TOLERANCE


@dataclass(slots=True)
class Recorder:
    """All operations so far. Clients append to it from their threads."""

    operations: list[Operation] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    """The garment of the pool that is stored under a name, for all names that were ever used."""

    def writes(self) -> list[Write]:
        """Return the uploads and deletions that had an effect or may have had one."""
        kinds = {Kind.UPLOAD: False, Kind.REPEAT: False, Kind.DELETE: True}
        return [
            Write(one.names, one.start, one.end, kinds[one.kind], one.outcome is Outcome.DONE)
            for one in self.operations
            if one.kind in kinds and one.outcome is not Outcome.REFUSED
        ]

    def reads(self, similarities: NDArray[np.float32]) -> list[Read]:
        """Return the searches, and the deletions that found nothing to delete."""
        return [read for one in self.operations if (read := self._read(one, similarities))]

    def _read(self, one: Operation, similarities: NDArray[np.float32]) -> Read | None:
        label = f"{one.kind} {one.request_id}"
        if one.kind is Kind.DELETE and one.code == "not_found":
            return Read(one.start, one.end, (), one.names, label)
        if one.answer is None:
            return None
        found = one.answer.similarities
        minimum = -2.0 if one.answer.is_complete else min(found.values(), default=1.0)
        covered = Covered(similarities[one.answer.query], self.columns, minimum)
        return Read(one.start, one.end, found.keys(), covered, label)


def latencies(operations: Sequence[Operation], kind: Kind) -> NDArray[np.float64]:
    """Return the seconds of the operations of one kind that got a response."""
    answered = (one.seconds for one in operations if one.kind is kind and one.code not in UNANSWERED)
    return np.fromiter(answered, np.float64)


def read_answer(query: int, body: Mapping[str, Any], num: int) -> Answer:
    """Parse the response of a search for `num` garments."""
    similarities = {match["splitted_image_id"]: float(match["similarity"]) for match in body["results"]}
    return Answer(query, similarities, body["index"]["rows"] <= num)

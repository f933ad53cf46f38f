"""Search history: past searches of users, their results, and which of these were chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PastHit:
    """A search result in the history: index of the query garment, row id, and similarity at the time of the search."""

    garment_index: int
    row_id: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Choice:
    """A result that the user chose, and when."""

    row_id: int
    chosen_at: datetime


@dataclass(frozen=True, slots=True)
class PastSearch:
    """A search in the history of a user. It contains the request (as JSON values) and the hits, but not the photo."""

    id: str
    owner: str
    searched_at: datetime
    request: Mapping[str, object]
    hits: Sequence[PastHit] = ()
    """Best first, for each query garment."""
    choices: tuple[Choice, ...] = ()
    """Hits that the user chose, in order of time. `History.save_searches` ignores them."""

"""Search history: past searches of users, their results, and which of these were chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import Vectors

VECTOR_TYPE = "<f2"
"""Half precision: the cosine of a vector and its stored copy is above 0.9999."""


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
class PhotoVectors:
    """The vectors of a search's photos, from which the search can be repeated without the photos."""

    embedder: str
    encoded: tuple[bytes, ...]
    """One for each garment of a segmented photo, otherwise one for each photo, in the order of the request."""

    @classmethod
    def encode(cls, embedder: str, vectors: Vectors) -> "PhotoVectors":
        """Return the vectors (n, dim) in half precision."""
        return cls(embedder, tuple(vector.astype(VECTOR_TYPE).tobytes() for vector in vectors))

    def decode(self, number: int) -> NDArray[np.float32]:
        """Return a vector (dim,) of length 1. Raises `IndexError`."""
        vector = np.frombuffer(self.encoded[number], VECTOR_TYPE).astype(np.float32)
        return np.asarray(vector / np.linalg.norm(vector), np.float32)


@dataclass(frozen=True, slots=True)
class PastSearch:
    """A search in the history of a user.

    It contains the request (as JSON values), the hits and the vectors of the photos, but not the photos.
    """

    id: str
    owner: str
    searched_at: datetime
    request: Mapping[str, object]
    hits: Sequence[PastHit] = ()
    """Best first, for each query garment."""
    choices: tuple[Choice, ...] = ()
    """Hits that the user chose, in order of time. `History.save_searches` ignores them."""
    photo_vectors: PhotoVectors | None = None
    """`None` for searches without a photo, and for those of versions that did not keep the vectors."""

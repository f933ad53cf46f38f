"""Ports of vector search: indexes, and the formats in which index versions are stored."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.vector_source import VectorSource


class VectorIndex(Protocol):
    """Nearest neighbor search by cosine similarity. Safe to use from several threads."""

    @property
    def is_exact(self) -> bool:
        """Whether a search returns the true nearest rows. Otherwise they are candidates that have to be reranked."""
        ...

    @property
    def row_count(self) -> int:
        """Number of rows in the index."""
        ...

    def contained_ids(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return those of the row ids that the index contains."""
        ...

    def search(self, vectors: Vectors, k: int, allowed_ids: NDArray[np.int64] | None = None) -> list[list[SearchHit]]:
        """Return the `k` nearest rows for each of the unit vectors (q, dim), most similar first.

        With `allowed_ids` (n,), only these rows are searched. Lists are shorter than `k` if there are fewer rows.
        """
        ...


class MutableIndex(VectorIndex, Protocol):
    """Index in an external service whose rows can be written and deleted individually. Row ids are positive."""

    def identity(self) -> str:
        """Return an identifier of this copy of the index.

        It changes if the index is recreated or the service replaced. The caller must then assume that rows are missing.
        """
        ...

    def upsert(self, row_ids: NDArray[np.int64], vectors: Vectors) -> None:
        """Insert or replace rows: ids (n,), unit vectors (n, dim). Raises `LookalikeError` for any other vectors."""
        ...

    def delete(self, row_ids: NDArray[np.int64]) -> None:
        """Delete rows. Unknown ids are ignored."""
        ...

    def row_ids(self) -> Iterator[NDArray[np.int64]]:
        """Yield all row ids, in blocks of some thousands."""
        ...


class IndexFormat(Protocol):
    """File format of an index version: builds, writes and reads it."""

    @property
    def name(self) -> str:
        """Identifier of the format, stored in the manifest."""
        ...

    @property
    def libraries(self) -> Mapping[str, str]:
        """Versions of the libraries that the files depend on, by library name."""
        ...

    def build(self, source: VectorSource) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield the name and the content of each file, as a stream.

        Each stream must be read to its end before the next file is requested. Raises as `VectorSource.pages`.
        """
        ...

    def load(self, parts: Mapping[str, bytes]) -> VectorIndex:
        """Load an index from its files. Call it with verified bytes only.

        Raises `Untrusted` if the content differs from what `build` writes.
        """
        ...

    def read_vectors(self, count: int, dim: int, read: Callable[[str], Iterable[bytes]]) -> VectorSource:
        """Return the vectors that a version was built from, streamed from its files.

        `count` and `dim` come from the manifest; `read` streams a file by name. Raises `Untrusted` for invalid files.
        """
        ...


@dataclass(frozen=True, slots=True)
class Approximation:
    """A built approximate index: its file, and its measured recall."""

    data: memoryview
    """Content of the file."""
    recall: float
    """Share, 0 to 1, of the ten true nearest rows that a search returns."""
    queries: int
    """Number of queries in that measurement."""
    settings: Mapping[str, int]
    """Build parameters."""


class ApproximateFormat(Protocol):
    """File format of an approximate index, for catalogs that are too large for exact search."""

    @property
    def name(self) -> str:
        """Identifier of the format, stored in the manifest."""
        ...

    @property
    def part_name(self) -> str:
        """Name of the file inside an index version."""
        ...

    @property
    def libraries(self) -> Mapping[str, str]:
        """Versions of the libraries that the file depends on, by library name."""
        ...

    def build(self, source: VectorSource, previous: memoryview | None = None) -> Approximation:
        """Build an index of all rows. Raises as `VectorSource.pages`.

        `previous` is an index of the first rows of `source`. The format may extend it instead of building a new one.
        """
        ...

    def load(self, data: memoryview) -> VectorIndex:
        """Load an index from its file. Call it with verified bytes only. Raises `Untrusted` for invalid content."""
        ...

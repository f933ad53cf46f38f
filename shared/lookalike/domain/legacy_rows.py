"""Rows of the original system, before and after their conversion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LegacyRow:
    """A row of the original system, with its vector as JSON text and its image inside the row."""

    row_id: int
    path: str
    photo: str
    vector: NDArray[np.float32] | None
    """Unit vector (dim,) of any dimension. `None` if the row has no valid vector."""
    image: bytes | None
    """Encoded image. `None` if only `path` refers to it."""


@dataclass(frozen=True, slots=True, eq=False)
class AdoptedRow:
    """A legacy row converted to the current format: its image is in the object store, its vector unchanged."""

    row_id: int
    path: str
    thumbnail: str
    photo: str
    vector: NDArray[np.float32] | None

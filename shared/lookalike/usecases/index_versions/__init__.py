"""Index versions in the object store: immutable, signed snapshots and one pointer that names the current one.

Each embedder has its own versions, in `index/<embedder>/<version>/`, and its own pointer, `index/<embedder>/current.json`.
"""

from lookalike.usecases.index_versions.pointer import PointerState
from lookalike.usecases.index_versions.versions import IndexVersions

__all__ = ["IndexVersions", "PointerState"]

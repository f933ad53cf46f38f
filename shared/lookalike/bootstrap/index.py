"""Build the index backend that INDEX_URL names: versions in the bucket, or an external index (Milvus)."""

import importlib.util
from datetime import UTC, datetime

from lookalike.domain.ports import ApproximateFormat, Catalog, ObjectStore
from lookalike.settings import Settings
from lookalike.usecases.external_index import ExternalIndex
from lookalike.usecases.index_versions import IndexVersions


def uses_external_index(settings: Settings) -> bool:
    """Return whether vectors are indexed in Milvus instead of in index versions in the bucket."""
    return settings.index_url.startswith("milvus:")


def open_index_versions(settings: Settings, store: ObjectStore, key: bytes, embedder: str, dim: int) -> IndexVersions:
    """Open one embedder's index versions in the bucket; `key` signs their manifests and pointer."""
    from lookalike.adapters.neighbors_index import NeighborsFormat

    approximate, above = _approximate_format(), settings.approximate_above
    return IndexVersions(store, NeighborsFormat(), key, embedder, dim, utc_now, approximate, above)


def _approximate_format() -> ApproximateFormat | None:
    """Return the approximate index format, or `None` without the extra `[scale]`."""
    if importlib.util.find_spec("faiss") is None:
        return None
    from lookalike.adapters.faiss_index import FaissFormat

    return FaissFormat()


def open_external_index(
    settings: Settings, catalog: Catalog, store: ObjectStore, key: bytes, embedder: str, dim: int
) -> ExternalIndex:
    """Open the Milvus collection of one embedder; `key` signs the watermark that is kept in the bucket."""
    from lookalike.adapters.milvus_index import MilvusIndex

    location = settings.index_url.removeprefix("milvus:")
    index = MilvusIndex(location, settings.milvus_token.get_secret_value(), embedder, dim)
    return ExternalIndex(index, catalog, store, key, embedder, dim, utc_now)


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)

"""Vectors in Milvus: a file (Milvus Lite), a server, a cluster or Zilliz, as the address says. One collection an embedder.

pymilvus is imported and the connection made with the first call, which is after the host's fork. A file opens in one process only.
"""

import importlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import LookalikeError, Misconfigured, Unavailable
from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.rows import are_unit

log = logging.getLogger("lookalike.index")
T = TypeVar("T")
Numbers = NDArray[np.int64]
KEY, VECTOR = "row_id", "vector"
BYTES, BATCH = 16 << 20, 10_000
"""Of vectors, and how many row numbers, in one request: a server takes 64 MB."""
MOST = 16_384
"""Hits that one search may ask for."""
STRONG = "Strong"
"""Reads see every write that was answered; by default they may lag."""
TIMEOUT = 10.0


class MilvusIndex:
    """A `MutableIndex`. `place` is the path of a file, or http(s)://…; `token` is of a server that asks for one.

    Every method raises `Unavailable` while Milvus cannot be reached, and `Misconfigured` for a collection of other vectors.
    """

    exact = False

    def __init__(self, place: str, token: str, embedder: str, dim: int) -> None:
        self._place, self._token, self._dim = place, token, dim
        self._name = re.sub(r"\W", "_", f"lookalike_{embedder}")
        self._lock = threading.Lock()
        self._client: Any = None

    @property
    def rows(self) -> int:
        found = self._ask(lambda client: client.query(self._name, filter="", output_fields=["count(*)"]))
        return int(found[0]["count(*)"])

    def holding(self, row_ids: Numbers) -> Numbers:
        found = [row[KEY] for some in _batches(row_ids) for row in self._rows(some)]
        return np.array(sorted(found), np.int64)

    def search(self, vectors: Vectors, k: int, among: Numbers | None = None) -> list[list[SearchHit]]:
        """The filter is Milvus's to apply: very many rows go there in parts, whose hits are merged."""
        if k < 1 or not len(vectors):
            return [[] for _ in vectors]
        parts = [""] if among is None else [_among(some) for some in _batches(among)]
        found = [self._search(vectors, min(k, MOST), part) for part in parts]
        return [_best([hits[query] for hits in found], k) for query in range(len(vectors))]

    def upsert(self, row_ids: Numbers, vectors: Vectors) -> None:
        """Raises `LookalikeError` for what is no unit vector of our length, before anything is written."""
        if len(row_ids) and vectors.shape[1] != self._dim:
            raise LookalikeError(f"Vectors have length {vectors.shape[1]}, not {self._dim}")
        if (wrong := row_ids[~are_unit(vectors)]).size:
            raise LookalikeError(f"The vectors of {wrong.size} rows are not of length 1: {wrong[:5].tolist()} …")
        step = max(1, BYTES // (4 * self._dim))
        for start in range(0, len(row_ids), step):
            some = zip(row_ids[start : start + step].tolist(), vectors[start : start + step], strict=True)
            data = [{KEY: row_id, VECTOR: vector} for row_id, vector in some]
            self._ask(partial(_upsert, self._name, data))

    def delete(self, row_ids: Numbers) -> None:
        for some in _batches(row_ids):
            self._ask(partial(_delete, self._name, some.tolist()))

    def row_ids(self) -> Iterator[Numbers]:
        """All of them, some thousand at a time."""
        pages = self._ask(
            lambda client: client.query_iterator(
                self._name, BATCH, filter=f"{KEY} >= 0", output_fields=[KEY], consistency_level=STRONG
            )
        )
        while page := self._ask(lambda _: pages.next()):
            yield np.array([row[KEY] for row in page], np.int64)
        pages.close()

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _rows(self, row_ids: Numbers) -> list[dict[str, int]]:
        found: list[dict[str, int]] = self._ask(
            lambda client: client.query(
                self._name, filter=_among(row_ids), output_fields=[KEY], consistency_level=STRONG
            )
        )
        return found

    def _search(self, vectors: Vectors, k: int, chosen: str) -> list[list[SearchHit]]:
        how = {"limit": k, "filter": chosen, "output_fields": [KEY], "consistency_level": STRONG, "anns_field": VECTOR}
        found = self._ask(lambda client: client.search(self._name, data=list(vectors), **how))
        return [[SearchHit(int(hit[KEY]), float(hit["distance"])) for hit in hits] for hits in found]

    def _ask(self, call: Callable[[Any], T]) -> T:
        """The call's result, with Milvus's errors as ours. Nothing of the address or the token is repeated."""
        milvus = importlib.import_module("pymilvus")
        try:
            return call(self._connected(milvus))
        except milvus.MilvusException as error:
            log.warning("Milvus: %s", _plain(error, self._token))
            raise Unavailable("Milvus cannot be reached, or does not do its work") from None

    def _connected(self, milvus: Any) -> Any:
        with self._lock:
            if self._client is None:
                # its own log would repeat every error with a traceback
                logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
                client = milvus.MilvusClient(self._place, token=self._token, timeout=TIMEOUT)
                self._prepare(client, milvus)
                self._client = client
            return self._client

    def _prepare(self, client: Any, milvus: Any) -> None:
        """The collection, made where there is none."""
        if not client.has_collection(self._name):
            client.create_collection(
                self._name, schema=self._schema(milvus), index_params=_indexed(client), consistency_level=STRONG
            )
        fields = {field["name"]: field for field in client.describe_collection(self._name)["fields"]}
        if fields.get(VECTOR, {}).get("params", {}).get("dim") != self._dim:
            raise Misconfigured(f"Milvus's collection {self._name} is not of vectors of length {self._dim}")
        client.load_collection(self._name)

    def _schema(self, milvus: Any) -> Any:
        schema = milvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(KEY, milvus.DataType.INT64, is_primary=True)
        schema.add_field(VECTOR, milvus.DataType.FLOAT_VECTOR, dim=self._dim)
        return schema


def _upsert(name: str, data: list[dict[str, Any]], client: Any) -> None:
    client.upsert(name, data)


def _delete(name: str, row_ids: list[int], client: Any) -> None:
    if row_ids:
        client.delete(name, ids=row_ids)


def _indexed(client: Any) -> Any:
    """AUTOINDEX is what every Milvus has, and each chooses its own."""
    indexes = client.prepare_index_params()
    indexes.add_index(VECTOR, index_type="AUTOINDEX", metric_type="COSINE")
    return indexes


def _among(row_ids: Numbers) -> str:
    # numbers of our own: nothing to escape. Milvus Lite knows no templates
    return f"{KEY} in {row_ids.tolist()}"


def _batches(row_ids: Numbers) -> Iterator[Numbers]:
    """At least one."""
    return (row_ids[start : start + BATCH] for start in range(0, max(len(row_ids), 1), BATCH))


def _best(hits: list[list[SearchHit]], k: int) -> list[SearchHit]:
    return sorted((hit for some in hits for hit in some), key=lambda hit: (-hit.similarity, hit.row_id))[:k]


def _plain(error: Exception, token: str) -> str:
    return str(error).replace(token, "…") if token else str(error)

"""Index backed by Milvus: a local file (Milvus Lite), a server, a cluster or Zilliz. One collection per embedder.

pymilvus is imported and connected on first use, and again after a fork. Only one process can open a file.
"""

import hashlib
import importlib
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.errors import LookalikeError, Misconfigured, Unavailable
from lookalike.domain.model import SearchHit, Vectors
from lookalike.domain.vector_source import require_unit_vectors

log = logging.getLogger("lookalike.index")
Ids = NDArray[np.int64]
KEY_FIELD, VECTOR_FIELD = "row_id", "vector"
MAX_VECTOR_BYTES = 16 << 20
"""Bytes of vectors per write request. A server accepts messages of 64 MB."""
MAX_IDS = 10_000
"""Row ids per request that reads or deletes rows. Zilliz returns at most 16,384 rows."""
MAX_FILTER_IDS = 50_000
"""Row ids in the filter of one search."""
MAX_HITS = 16_384
"""Hits that Milvus returns for one search at most."""
MIN_EF = 512
"""Smallest search width (`ef`) of a graph index. It must be at least the number of hits; more gives more recall."""
STRONG = "Strong"
"""Consistency level at which reads see all acknowledged writes. The default level allows a lag."""
REQUEST_TIMEOUT, LOAD_TIMEOUT = 10.0, 60.0
"""Seconds for one request, and for creating or loading a collection."""
FLUSH_INTERVAL = 1000
"""Rows after which a file is flushed. Until then each search converts unflushed rows, at about 20 µs per row."""
RECONNECT_CODES = {2, 100, 101}
"""Error codes after which the client reconnects: server unreachable, collection not found, collection not loaded."""
IDENTITY_ID = 0
"""Id of a row that is not a garment. Its random vector is written once and tells the collection from all others."""
FILE_WRITE_LOCK = threading.Lock()
"""Milvus Lite does not support writes from several threads at once."""


class MilvusIndex:
    """`MutableIndex` in Milvus. `location` is the path of a file or an http(s) URL; `token` authenticates to a server.

    `timeout` is in seconds per request. Every method raises `Unavailable` if Milvus does not respond, and
    `Misconfigured` if the token is rejected or the collection has another dimension.
    """

    is_exact = False

    def __init__(self, location: str, token: str, embedder: str, dim: int, *, timeout: float = REQUEST_TIMEOUT) -> None:
        self._location, self._token, self._dim, self._timeout = location, token, dim, timeout
        self._is_file = not location.startswith(("http://", "https://"))
        self._collection = re.sub(r"\W", "_", f"lookalike_{embedder}")
        self._client_lock, self._identity_lock = threading.Lock(), threading.Lock()
        self._client: Any = None
        self._client_pid = 0
        self._unflushed_rows = 0

    def identity(self) -> str:
        """Return an id of this collection. A new or another collection has another one."""
        # The lock: two threads would write two identities, and one would go on with the one that was overwritten.
        with self._identity_lock:
            rows = self._query_rows(np.array([IDENTITY_ID]), VECTOR_FIELD)
            if not rows:
                noise = np.random.default_rng().normal(size=self._dim)
                vector = np.asarray(noise / np.linalg.norm(noise), np.float32)
                self._write("upsert", data=[{KEY_FIELD: IDENTITY_ID, VECTOR_FIELD: vector}])
                # Read it back: another process may have written its own at the same time.
                rows = self._query_rows(np.array([IDENTITY_ID]), VECTOR_FIELD)
        return hashlib.sha256(np.asarray(rows[0][VECTOR_FIELD], "<f4").tobytes()).hexdigest()[:16]

    @property
    def row_count(self) -> int:
        """Number of rows. Takes a request."""
        rows = self._call(
            "query",
            filter=f"{KEY_FIELD} > {IDENTITY_ID}",
            output_fields=["count(*)"],
            consistency_level=STRONG,
        )
        return int(rows[0]["count(*)"])

    def contained_ids(self, row_ids: Ids) -> Ids:
        """Return those of the given row ids that are in the collection, sorted."""
        row_ids = row_ids[row_ids > IDENTITY_ID]
        contained = [row[KEY_FIELD] for batch in _batches(row_ids, MAX_IDS) for row in self._query_rows(batch)]
        return np.array(sorted(contained), np.int64)

    def search(self, vectors: Vectors, k: int, allowed_ids: Ids | None = None) -> list[list[SearchHit]]:
        """Return up to k candidates, at most `MAX_HITS`, for each (q, dim) query.

        Milvus applies the filter. More than `MAX_FILTER_IDS` ids take several searches, whose hits are merged.
        """
        if k < 1 or not len(vectors) or (allowed_ids is not None and not len(allowed_ids)):
            return [[] for _ in vectors]
        filters = [""]
        if allowed_ids is not None:
            filters = [_id_filter(batch) for batch in _batches(allowed_ids, MAX_FILTER_IDS)]
        results = [self._search(vectors, min(k, MAX_HITS), expression) for expression in filters]
        return [_merge_hits([hits[query] for hits in results], k) for query in range(len(vectors))]

    def upsert(self, row_ids: Ids, vectors: Vectors) -> None:
        """Write rows (n,) with unit vectors (n, dim).

        Raises `LookalikeError` for vectors of another dimension or length and for duplicate ids, before anything is
        written.
        """
        self._check_rows(row_ids, vectors)
        step = max(1, MAX_VECTOR_BYTES // (4 * self._dim))
        for start in range(0, len(row_ids), step):
            batch = zip(row_ids[start : start + step].tolist(), vectors[start : start + step], strict=True)
            self._write("upsert", data=[{KEY_FIELD: row_id, VECTOR_FIELD: vector} for row_id, vector in batch])

    def delete(self, row_ids: Ids) -> None:
        """Delete rows. Ignores ids that are not in the collection."""
        for batch in _batches(row_ids, MAX_IDS):
            self._write("delete", ids=batch.tolist())

    def row_ids(self) -> Iterator[Ids]:
        """Yield all row ids in ascending order, up to `MAX_IDS` at a time."""
        pages = self._call(
            "query_iterator",
            batch_size=MAX_IDS,
            filter=f"{KEY_FIELD} > {IDENTITY_ID}",
            output_fields=[KEY_FIELD],
            consistency_level=STRONG,
        )
        while page := self._next_page(pages):
            yield np.array([row[KEY_FIELD] for row in page], np.int64)
        pages.close()

    def drop(self) -> None:
        """Delete the collection. The next call creates it again, empty."""
        with self._write_lock():
            self._call("drop_collection")
        self.close()

    def close(self) -> None:
        """Close the connection. The next call opens it again."""
        self._close_client(self._client)

    def _check_rows(self, row_ids: Ids, vectors: Vectors) -> None:
        if len(row_ids) and vectors.shape[1] != self._dim:
            raise LookalikeError(f"Vectors have {vectors.shape[1]} dimensions; expected {self._dim}")
        require_unit_vectors(row_ids, vectors)
        if len(np.unique(row_ids)) < len(row_ids):
            # A server would store both rows.
            raise LookalikeError("A row id occurs twice")

    def _query_rows(self, row_ids: Ids, *fields: str) -> list[dict[str, Any]]:
        """Return those of the rows that exist, with their key and the given fields."""
        rows: list[dict[str, Any]] = self._call(
            "query", filter=_id_filter(row_ids), output_fields=[KEY_FIELD, *fields], consistency_level=STRONG
        )
        return rows

    def _search(self, vectors: Vectors, k: int, filter_expression: str) -> list[list[SearchHit]]:
        # One more, because the identity row may be among the hits.
        limit = min(k + 1, MAX_HITS)
        # Zilliz takes a level from 1 to 10 instead of `ef`.
        parameters = {"level": 10} if "zilliz" in self._location else {"ef": max(MIN_EF, 2 * limit)}
        results = self._call(
            "search",
            data=list(vectors),
            search_params={"params": parameters},
            limit=limit,
            filter=filter_expression,
            output_fields=[KEY_FIELD],
            consistency_level=STRONG,
            anns_field=VECTOR_FIELD,
        )
        hits = [[SearchHit(int(hit[KEY_FIELD]), float(hit["distance"])) for hit in result] for result in results]
        return [[hit for hit in result if hit.row_id != IDENTITY_ID][:k] for result in hits]

    def _write(self, method: str, **arguments: Any) -> None:
        with self._write_lock():
            self._call(method, **arguments)
            self._unflushed_rows += len(arguments.get("data") or arguments.get("ids") or ())
            if self._is_file and self._unflushed_rows >= FLUSH_INTERVAL:
                self._call("flush")
                self._unflushed_rows = 0

    def _write_lock(self) -> AbstractContextManager[object]:
        return FILE_WRITE_LOCK if self._is_file else nullcontext()

    def _call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the Milvus client on this collection."""
        with self._translated_errors() as client:
            return getattr(client, method)(self._collection, timeout=self._timeout, **arguments)

    def _next_page(self, pages: Any) -> Any:
        with self._translated_errors():
            return pages.next()

    @contextmanager
    def _translated_errors(self) -> Iterator[Any]:
        """Yield the client; raise its errors as `Unavailable` or `Misconfigured`, without address and token."""
        milvus, grpc, client = _import_pymilvus(), importlib.import_module("grpc"), None
        try:
            client = self._connected_client(milvus)
            yield client
        except (milvus.MilvusException, grpc.RpcError) as error:
            log.warning("Milvus request failed: %s", _without_token(error, self._token))
            if isinstance(error, milvus.MilvusException) and error.code in RECONNECT_CODES:
                self._close_client(client)
            # `from None`: the original error may contain the address and the token.
            if _is_authentication_error(error, grpc):
                raise Misconfigured("Milvus rejects MILVUS_TOKEN, or the token is missing") from None
            raise Unavailable("Milvus cannot be reached or failed to process the request") from None

    def _connected_client(self, milvus: Any) -> Any:
        with self._client_lock:
            # gRPC connections do not survive a fork.
            if self._client is None or self._client_pid != os.getpid():
                self._client, self._client_pid = self._connect(milvus), os.getpid()
            return self._client

    def _close_client(self, client: Any) -> None:
        with self._client_lock:
            # Another thread may have replaced the client already.
            if client is None or client is not self._client:
                return
            self._client = None
        client.close()

    def _connect(self, milvus: Any) -> Any:
        if self._is_file:
            Path(self._location).absolute().parent.mkdir(parents=True, exist_ok=True)
        # dedicated: pymilvus would otherwise share connections by address, which a forked child inherits.
        client = milvus.MilvusClient(self._location, token=self._token, timeout=self._timeout, dedicated=True)
        with ExitStack() as stack:
            stack.callback(client.close)
            self._prepare_collection(client, milvus)
            stack.pop_all()
        return client

    def _prepare_collection(self, client: Any, milvus: Any) -> None:
        """Create the collection if it does not exist, check its dimension and load it."""
        if not client.has_collection(self._collection, timeout=self._timeout):
            client.create_collection(
                self._collection,
                consistency_level=STRONG,
                schema=self._schema(milvus),
                index_params=_index_parameters(client),
                timeout=LOAD_TIMEOUT,
            )
        description = client.describe_collection(self._collection, timeout=self._timeout)
        fields = {field["name"]: field for field in description["fields"]}
        dim = fields.get(VECTOR_FIELD, {}).get("params", {}).get("dim")
        if dim != self._dim:
            raise Misconfigured(
                f"The Milvus collection {self._collection} has vectors of {dim} dimensions; expected {self._dim}"
            )
        client.load_collection(self._collection, timeout=LOAD_TIMEOUT)
        if self._is_file:
            # Flushes the rows that a killed process left unflushed.
            client.flush(self._collection, timeout=LOAD_TIMEOUT)

    def _schema(self, milvus: Any) -> Any:
        schema = milvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(KEY_FIELD, milvus.DataType.INT64, is_primary=True)
        schema.add_field(VECTOR_FIELD, milvus.DataType.FLOAT_VECTOR, dim=self._dim)
        return schema


@cache
def _import_pymilvus() -> Any:
    # pymilvus would otherwise load the nearest `.env` file into the environment.
    os.environ.setdefault("PYTHON_DOTENV_DISABLED", "1")
    try:
        milvus = importlib.import_module("pymilvus")
    except ModuleNotFoundError:
        raise Misconfigured("INDEX_URL=milvus:… needs the extra [scale]: install lookalike[scale]") from None
    # pymilvus logs every error with a traceback, in addition to raising it.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return milvus


def _index_parameters(client: Any) -> Any:
    # Every Milvus supports AUTOINDEX and chooses its own type. The inner product of unit vectors is their cosine.
    indexes = client.prepare_index_params()
    indexes.add_index(VECTOR_FIELD, index_type="AUTOINDEX", metric_type="IP")
    return indexes


def _is_authentication_error(error: BaseException | None, grpc: Any) -> bool:
    codes = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    while error is not None:
        if isinstance(error, grpc.RpcError) and error.code() in codes:
            return True
        # Not __cause__: pymilvus makes errors their own cause, which would never end.
        error = error.__context__
    return False


def _id_filter(row_ids: Ids) -> str:
    # Integers need no escaping. Milvus Lite does not support filter templates.
    return f"{KEY_FIELD} in {row_ids.tolist()}"


def _batches(row_ids: Ids, size: int) -> Iterator[Ids]:
    return (row_ids[start : start + size] for start in range(0, len(row_ids), size))


def _merge_hits(hits: list[list[SearchHit]], k: int) -> list[SearchHit]:
    return sorted((hit for result in hits for hit in result), key=lambda hit: (-hit.similarity, hit.row_id))[:k]


def _without_token(error: Exception, token: str) -> str:
    return str(error).replace(token, "…") if token else str(error)

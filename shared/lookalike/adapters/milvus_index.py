"""Vectors in Milvus: a file (Milvus Lite), a server, a cluster or Zilliz, as the address says. One collection an embedder.

pymilvus is imported and the connection made with the first call, and made anew after a fork. A file opens in one process only.
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
from lookalike.domain.vector_source import are_unit_vectors

log = logging.getLogger("lookalike.index")
Numbers = NDArray[np.int64]
KEY, VECTOR = "row_id", "vector"
BYTES, BATCH, AMONG = 16 << 20, 10_000, 50_000
"""Of vectors, and how many row numbers, in one request, and in a filter: a server takes 64 MB, and Zilliz gives 16,384 rows."""
MOST = 16_384
"""Hits that one search may ask for."""
EF = 512
"""Least breadth of a search in a graph. It must not be under the number of hits; by itself it is just that number."""
STRONG = "Strong"
"""Reads see every write that was answered; by default they may lag."""
TIMEOUT, PATIENCE = 10.0, 60.0
"""Seconds for one request, and for a collection to be made and loaded."""
UNFLUSHED = 1000
"""Rows after which a file is flushed: until then each search converts them anew, some 20 µs a row."""
GONE = {2, 100, 101}
"""Codes of a server that cannot be reached, of no such collection, and of one that is not loaded: all is to be done anew."""
IDENTITY = 0
"""Number of a row that is none of ours: a random vector, written once, tells the collection from all others."""
FILE_WRITES = threading.Lock()
"""Milvus Lite does not take writes from several threads at once."""


class MilvusIndex:
    """A `MutableIndex`. `place` is the path of a file, or http(s)://…; `token` is of a server that asks for one.

    `timeout` in seconds is of one request. Every method raises `Unavailable` while Milvus cannot be reached or does not answer,
    and `Misconfigured` for a collection of other vectors or a token that it refuses.
    """

    is_exact = False

    def __init__(self, location: str, token: str, embedder: str, dim: int, *, timeout: float = TIMEOUT) -> None:
        self._place, self._token, self._dim, self._timeout = location, token, dim, timeout
        self._name = re.sub(r"\W", "_", f"lookalike_{embedder}")
        self._lock = threading.Lock()
        self._client: Any = None
        self._made_in = 0
        self._unflushed = 0

    def identity(self) -> str:
        if not (found := self._rows(np.array([IDENTITY]), VECTOR)):
            noise = np.random.default_rng().normal(size=self._dim)
            own = np.asarray(noise / np.linalg.norm(noise), np.float32)
            self._write("upsert", data=[{KEY: IDENTITY, VECTOR: own}])
            # another may have been faster, or a little slower
            found = self._rows(np.array([IDENTITY]), VECTOR)
        return hashlib.sha256(np.asarray(found[0][VECTOR], "<f4").tobytes()).hexdigest()[:16]

    @property
    def row_count(self) -> int:
        found = self._ask("query", filter=f"{KEY} > {IDENTITY}", output_fields=["count(*)"], consistency_level=STRONG)
        return int(found[0]["count(*)"])

    def contained_ids(self, row_ids: Numbers) -> Numbers:
        row_ids = row_ids[row_ids > IDENTITY]
        found = [row[KEY] for some in _batches(row_ids, BATCH) for row in self._rows(some)]
        return np.array(sorted(found), np.int64)

    def search(self, vectors: Vectors, k: int, allowed_ids: Numbers | None = None) -> list[list[SearchHit]]:
        """The filter is Milvus's to apply: very many rows go there in parts, whose hits are merged. At most 16,384 hits."""
        if k < 1 or not len(vectors) or (allowed_ids is not None and not len(allowed_ids)):
            return [[] for _ in vectors]
        parts = [""] if allowed_ids is None else [_among(some) for some in _batches(allowed_ids, AMONG)]
        found = [self._search(vectors, min(k, MOST), part) for part in parts]
        return [_best([hits[query] for hits in found], k) for query in range(len(vectors))]

    def upsert(self, row_ids: Numbers, vectors: Vectors) -> None:
        """Raises `LookalikeError` for what is no unit vector of our length, or a row given twice, before anything is written."""
        self._check(row_ids, vectors)
        step = max(1, BYTES // (4 * self._dim))
        for start in range(0, len(row_ids), step):
            some = zip(row_ids[start : start + step].tolist(), vectors[start : start + step], strict=True)
            self._write("upsert", data=[{KEY: row_id, VECTOR: vector} for row_id, vector in some])

    def delete(self, row_ids: Numbers) -> None:
        for some in _batches(row_ids, BATCH):
            self._write("delete", ids=some.tolist())

    def row_ids(self) -> Iterator[Numbers]:
        """All of them in order, some thousand at a time."""
        pages = self._ask(
            "query_iterator",
            batch_size=BATCH,
            filter=f"{KEY} > {IDENTITY}",
            output_fields=[KEY],
            consistency_level=STRONG,
        )
        while page := self._next(pages):
            yield np.array([row[KEY] for row in page], np.int64)
        pages.close()

    def drop(self) -> None:
        """The whole collection. The next call makes it anew, empty."""
        with self._one_writer():
            self._ask("drop_collection")
        self.close()

    def close(self) -> None:
        self._forget(self._client)

    @property
    def _is_file(self) -> bool:
        return not self._place.startswith(("http://", "https://"))

    def _check(self, row_ids: Numbers, vectors: Vectors) -> None:
        if len(row_ids) and vectors.shape[1] != self._dim:
            raise LookalikeError(f"Vectors have length {vectors.shape[1]}, not {self._dim}")
        if (wrong := row_ids[~are_unit_vectors(vectors)]).size:
            raise LookalikeError(f"The vectors of {wrong.size} rows are not of length 1: {wrong[:5].tolist()} …")
        if len(np.unique(row_ids)) < len(row_ids):
            # a server would keep both
            raise LookalikeError("A row is given twice")

    def _rows(self, row_ids: Numbers, *more: str) -> list[dict[str, Any]]:
        fields = [KEY, *more]
        found: list[dict[str, Any]] = self._ask(
            "query", filter=_among(row_ids), output_fields=fields, consistency_level=STRONG
        )
        return found

    def _search(self, vectors: Vectors, k: int, chosen: str) -> list[list[SearchHit]]:
        # one more: the row that is none may be among them
        count = min(k + 1, MOST)
        how = {
            "limit": count,
            "filter": chosen,
            "output_fields": [KEY],
            "consistency_level": STRONG,
            "anns_field": VECTOR,
        }
        found = self._ask("search", data=list(vectors), search_params={"params": self._breadth(count)}, **how)
        hits = [[SearchHit(int(hit[KEY]), float(hit["distance"])) for hit in some] for some in found]
        return [[hit for hit in some if hit.row_id != IDENTITY][:k] for some in hits]

    def _breadth(self, k: int) -> dict[str, int]:
        """As thorough as can be asked for: Zilliz has levels up to 10."""
        return {"level": 10} if "zilliz" in self._place else {"ef": max(EF, 2 * k)}

    def _write(self, what: str, **how: Any) -> None:
        with self._one_writer():
            self._ask(what, **how)
            self._unflushed += len(how.get("data") or how.get("ids") or ())
            if self._is_file and self._unflushed >= UNFLUSHED:
                self._ask("flush")
                self._unflushed = 0

    def _one_writer(self) -> AbstractContextManager[object]:
        return FILE_WRITES if self._is_file else nullcontext()

    def _ask(self, what: str, **how: Any) -> Any:
        """What the client's method of that name gives for our collection."""
        with self._asked() as client:
            return getattr(client, what)(self._name, timeout=self._timeout, **how)

    def _next(self, pages: Any) -> Any:
        with self._asked():
            return pages.next()

    @contextmanager
    def _asked(self) -> Iterator[Any]:
        """Gives the client, whose errors become ours. Nothing of the address or the token is repeated."""
        milvus, grpc, client = _imported(), importlib.import_module("grpc"), None
        try:
            client = self._connected(milvus)
            yield client
        except (milvus.MilvusException, grpc.RpcError) as error:
            log.warning("Milvus: %s", _plain(error, self._token))
            if isinstance(error, milvus.MilvusException) and error.code in GONE:
                self._forget(client)
            if _is_refusal(error, grpc):
                raise Misconfigured("Milvus refuses MILVUS_TOKEN, or it is missing") from None
            raise Unavailable("Milvus cannot be reached, or does not do its work") from None

    def _connected(self, milvus: Any) -> Any:
        with self._lock:
            if self._client is None or self._made_in != os.getpid():
                self._client, self._made_in = self._connect(milvus), os.getpid()
            return self._client

    def _forget(self, client: Any) -> None:
        """Unless another thread has made a new one already."""
        with self._lock:
            if client is None or client is not self._client:
                return
            self._client = None
        client.close()

    def _connect(self, milvus: Any) -> Any:
        if self._is_file:
            Path(self._place).absolute().parent.mkdir(parents=True, exist_ok=True)
        # shared connections would be inherited by a fork
        client = milvus.MilvusClient(self._place, token=self._token, timeout=self._timeout, dedicated=True)
        with ExitStack() as stack:
            stack.callback(client.close)
            self._prepare(client, milvus)
            stack.pop_all()
        return client

    def _prepare(self, client: Any, milvus: Any) -> None:
        """The collection, made where there is none."""
        if not client.has_collection(self._name, timeout=self._timeout):
            how = {"schema": self._schema(milvus), "index_params": _indexed(client), "timeout": PATIENCE}
            client.create_collection(self._name, consistency_level=STRONG, **how)
        told = client.describe_collection(self._name, timeout=self._timeout)
        fields = {field["name"]: field for field in told["fields"]}
        if fields.get(VECTOR, {}).get("params", {}).get("dim") != self._dim:
            raise Misconfigured(f"Milvus's collection {self._name} is not of vectors of length {self._dim}")
        client.load_collection(self._name, timeout=PATIENCE)
        if self._is_file:
            # what a process that was killed had not flushed
            client.flush(self._name, timeout=PATIENCE)

    def _schema(self, milvus: Any) -> Any:
        schema = milvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(KEY, milvus.DataType.INT64, is_primary=True)
        schema.add_field(VECTOR, milvus.DataType.FLOAT_VECTOR, dim=self._dim)
        return schema


@cache
def _imported() -> Any:
    # it would otherwise read the nearest `.env` into the environment
    os.environ.setdefault("PYTHON_DOTENV_DISABLED", "1")
    try:
        milvus = importlib.import_module("pymilvus")
    except ModuleNotFoundError:
        raise Misconfigured("INDEX_URL=milvus:… needs the extra [scale]") from None
    # its own log would repeat every error with a traceback
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    return milvus


def _indexed(client: Any) -> Any:
    """AUTOINDEX is what every Milvus has, and each chooses its own. Of unit vectors the inner product is the cosine."""
    indexes = client.prepare_index_params()
    indexes.add_index(VECTOR, index_type="AUTOINDEX", metric_type="IP")
    return indexes


def _is_refusal(error: BaseException | None, grpc: Any) -> bool:
    """Whether the token is what it comes from. pymilvus makes errors their own causes, but not their own contexts."""
    refusals = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    while error is not None:
        if isinstance(error, grpc.RpcError) and error.code() in refusals:
            return True
        error = error.__context__
    return False


def _among(row_ids: Numbers) -> str:
    # numbers of our own: nothing to escape. Milvus Lite knows no templates
    return f"{KEY} in {row_ids.tolist()}"


def _batches(row_ids: Numbers, size: int) -> Iterator[Numbers]:
    return (row_ids[start : start + size] for start in range(0, len(row_ids), size))


def _best(hits: list[list[SearchHit]], k: int) -> list[SearchHit]:
    return sorted((hit for some in hits for hit in some), key=lambda hit: (-hit.similarity, hit.row_id))[:k]


def _plain(error: Exception, token: str) -> str:
    return str(error).replace(token, "…") if token else str(error)

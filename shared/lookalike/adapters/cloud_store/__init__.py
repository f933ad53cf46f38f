"""Object store in a Google Cloud Storage bucket. Google's library is imported by the first call, not with this module."""

import hashlib
import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from lookalike.adapters.cloud_store.cdn import CdnLinks
from lookalike.adapters.cloud_store.checksums import crc32c, md5
from lookalike.adapters.cloud_store.clients import SHARED_CLIENTS, ClientCache
from lookalike.adapters.cloud_store.errors import is_missing_bucket, translate_errors
from lookalike.adapters.cloud_store.signing import signing_credentials
from lookalike.adapters.cloud_store.streams import ChecksummedChunks, ChunkReader
from lookalike.domain.errors import Conflict, InvalidField, NotFound, Unavailable
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import MAX_PATH_BYTES, THUMBNAIL_SUFFIX, check_path, check_prefix, is_valid_path

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.storage import Blob, Client

__all__ = ["SHARED_CLIENTS", "CdnLinks", "ClientCache", "CloudStore"]
T = TypeVar("T")
ENDPOINT = "https://storage.googleapis.com"
"""Always passed to the library. Without it, the library uses STORAGE_EMULATOR_HOST if set, and drops the credentials."""
IAM_ENDPOINT = "https://iamcredentials.googleapis.com"
MAX_URL_SECONDS = 7 * 24 * 3600
"""Cloud Storage rejects V4 signed URLs with a longer validity."""
RANGE_SIZE, MAX_PARALLEL_RANGES = 16 << 20, 8
"""Bytes per request when a large object is read, and parallel requests. Their product bounds the memory: 128 MiB."""
LIST_FIELDS = "items(name,size,generation,updated,metadata),nextPageToken"


class CloudStore:
    """Cloud Storage implementation of the port `ObjectStore`.

    Every write names the generation it replaces (`ifGenerationMatch`), which makes retries safe.

    `retry_timeout`: seconds for which a failed call is retried. `timeout`: seconds without a response after which one
    attempt fails. Every method raises `Unavailable` when retries are exhausted, or at once if the bucket, the credentials
    or a permission is missing. `thumbnail_links`: Cloud CDN, through which thumbnails are linked.
    """

    is_remote = True

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str | None = None,
        credentials: "Credentials | None" = None,
        *,
        retry_timeout: float = 20.0,
        timeout: float = 10.0,
        clients: ClientCache = SHARED_CLIENTS,
        iam_endpoint: str = IAM_ENDPOINT,
        thumbnail_links: CdnLinks | None = None,
    ) -> None:
        self._bucket, self._endpoint, self._credentials = bucket, endpoint or ENDPOINT, credentials
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._retry_timeout, self._timeout = retry_timeout, timeout
        self._clients, self._iam_endpoint = clients, iam_endpoint
        self._thumbnail_links = thumbnail_links

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        """Write an object if its current generation is `if_generation`; 0 means that it must not exist.

        Raises `Conflict` otherwise, and `InvalidField`. Creating an object that exists with the same bytes succeeds.
        """
        check_path(path)
        write_id = uuid.uuid4().hex
        with self._translate_errors(path, "storage.objects.create"):
            blob = self._new_blob(path, data, content_type, write_id)
            if not self._upload(blob, data, content_type, if_generation):
                existing = self._find(path)
                if existing is None or not self._is_same_write(path, existing, data, write_id, if_generation):
                    raise Conflict(f"{path} was changed by another writer")
                blob = existing
            return _to_stored_object(path, blob)

    def put_temporary(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        """Write an object like `put`: in a bucket, every object is durable."""
        return self.put(path, data, content_type, if_generation)

    def get(self, path: str) -> bytes:
        """Return the bytes of an object. Raises `NotFound`, and `Unavailable` if the checksum is wrong twice."""
        check_path(path)
        with self._translate_errors(path, "storage.objects.get"):
            from google.cloud.storage.exceptions import DataCorruption

            try:
                return self._retry(lambda: self._download(path))
            except DataCorruption:
                return self._retry(lambda: self._download(path))

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the bytes of an object in chunks, downloading several ranges of one generation in parallel.

        Raises `NotFound`, and at the end `Unavailable` if the checksum is wrong.
        """
        check_path(path)
        with self._translate_errors(path, "storage.objects.get"):
            blob = self._find(path)
            if blob is None:
                raise NotFound(f"The object {path} does not exist")
            chunks = ChecksummedChunks(self._download_ranges(path, blob))
            yield from chunks
            # Responses to range requests have no checksum, so it is computed over all of them.
            if chunks.crc32c != blob.crc32c:
                raise Unavailable(f"{path} was received with a wrong checksum")

    def write(self, path: str, chunks: Iterable[bytes], content_type: str) -> StoredObject:
        """Create an object from chunks by a resumable upload, which resends lost chunks. Raises `Conflict` if it exists."""
        check_path(path)
        write_id, checksummed = uuid.uuid4().hex, ChecksummedChunks(chunks)
        with self._translate_errors(path, "storage.objects.create"):
            blob = self._upload_chunks(path, checksummed, content_type, write_id)
            if blob is None or (blob.metadata or {}).get("write") != write_id:
                raise Conflict(f"{path} was changed by another writer")
            if blob.crc32c != checksummed.crc32c:
                self._delete(path, blob.generation)
                raise Unavailable(f"{path} was stored with a wrong checksum and deleted again: retry the upload")
            return _to_stored_object(path, blob)

    def stat(self, path: str) -> StoredObject | None:
        """Return the metadata of an object, or `None` if it does not exist."""
        check_path(path)
        with self._translate_errors(path, "storage.objects.get"):
            blob = self._find(path)
            return _to_stored_object(path, blob) if blob else None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose paths start with `prefix`, sorted by path."""
        check_prefix(prefix)
        with self._translate_errors(prefix, "storage.objects.list"):
            options = {"prefix": self._prefix + prefix, "fields": LIST_FIELDS}
            blobs = self._client.list_blobs(self._bucket, **options, retry=self._retry_policy, timeout=self._timeout)
            for blob in blobs:
                path = blob.name.removeprefix(self._prefix)
                # Other tools create objects with names such as `folder/`, which are not valid paths here.
                if is_valid_path(path):
                    yield _to_stored_object(path, blob)

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        """Delete an object. Returns whether it existed. Raises `Conflict` if it has another generation."""
        check_path(path)
        with self._translate_errors(path, "storage.objects.delete"):
            if if_generation is not None:
                return self._delete(path, if_generation)
            # The current generation is named explicitly: a retry must not delete an object written in the meantime.
            blob = self._find(path)
            return blob is not None and self._delete(path, blob.generation)

    def url(self, path: str, expires_in: int = 3600) -> str:
        """Return a signed URL of the object, valid for `expires_in` seconds, at most seven days.

        Signs with the key of the credentials, or by IAM (one request) for a service account without a key. Links to
        thumbnails lead to Cloud CDN, if it is given, and are signed with its key.
        """
        check_path(path)
        if self._thumbnail_links and path.endswith(THUMBNAIL_SUFFIX):
            return self._thumbnail_links.url(self._name(path), expires_in)
        with self._translate_errors(path, "iam.serviceAccounts.signBlob"):
            options = {"version": "v4", "expiration": timedelta(seconds=min(expires_in, MAX_URL_SECONDS))}
            blob = self._blob(path)
            credentials = signing_credentials(self._client, self._iam_endpoint, self._timeout)
            return str(self._retry(lambda: blob.generate_signed_url(**options, credentials=credentials)))

    @property
    def _client(self) -> "Client":
        return self._clients.get(self._endpoint, self._credentials)

    @property
    def _retry_policy(self) -> Any:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self._retry_timeout).with_delay(initial=0.2, maximum=4)

    def _retry(self, attempt: Callable[[], T]) -> T:
        """Repeat a whole attempt until it succeeds or `retry_timeout` has passed.

        The library's own retry of a download resumes in the middle and then skips the checksum.
        """
        result: T = self._retry_policy(attempt)()
        return result

    def _blob(self, path: str) -> "Blob":
        return self._client.bucket(self._bucket).blob(self._name(path))

    def _name(self, path: str) -> str:
        """Return the name of an object in the bucket. Raises `InvalidField` if it is too long."""
        name = self._prefix + path
        if len(name.encode()) > MAX_PATH_BYTES:
            raise InvalidField(
                f"The object name is longer than {MAX_PATH_BYTES} bytes, including the prefix", field="path"
            )
        return name

    def _new_blob(self, path: str, data: bytes, content_type: str, write_id: str) -> "Blob":
        """Return a blob with checksums, which let the service reject corrupted uploads."""
        blob = self._blob(path)
        blob.crc32c, blob.md5_hash = crc32c(data), md5(data)
        blob.metadata = {"sha256": hashlib.sha256(data).hexdigest(), "write": write_id}
        blob.cache_control = "private, max-age=3600" if content_type.startswith("image/") else "no-store"
        return blob

    def _upload(self, blob: "Blob", data: bytes, content_type: str, if_generation: int) -> bool:
        """Upload the data. Returns false if the object has another generation.

        That can be the generation of this very write, if the response to an earlier attempt was lost.
        """
        from google.api_core.exceptions import PreconditionFailed

        # checksum=None: on a mismatch the library would delete the object, even if another writer has replaced it.
        options = {"if_generation_match": if_generation, "checksum": None, "retry": None, "timeout": self._timeout}
        try:
            self._retry(lambda: blob.upload_from_string(data, content_type, **options))
        except PreconditionFailed:
            return False
        return True

    def _is_same_write(self, path: str, existing: "Blob", data: bytes, write_id: str, if_generation: int) -> bool:
        """Return whether the existing object is the result of this write, or of a create with the same bytes."""
        if (existing.metadata or {}).get("write") == write_id:
            return True
        if if_generation or _size(existing) != len(data) or existing.crc32c != crc32c(data):
            return False
        # Composed objects have no MD5, and CRC32C alone is too weak to prove equality.
        return bool(existing.md5_hash == md5(data)) if existing.md5_hash else self.get(path) == data

    def _download(self, path: str) -> bytes:
        blob = self._blob(path)
        data: bytes = blob.download_as_bytes(checksum="crc32c", retry=None, timeout=self._timeout)
        # Without a checksum in the response the library verifies nothing.
        if blob.crc32c is None:
            raise Unavailable(f"{path} was received without a checksum")
        return data

    def _download_ranges(self, path: str, blob: "Blob") -> Iterator[bytes]:
        """Yield the ranges of a blob in order, with at most `MAX_PARALLEL_RANGES` of them in memory."""
        size = _size(blob)
        with ThreadPoolExecutor(MAX_PARALLEL_RANGES) as pool:
            pending: deque[Future[bytes]] = deque()
            for start in range(0, size, RANGE_SIZE):
                end = min(start + RANGE_SIZE, size) - 1
                pending.append(pool.submit(self._download_range, path, blob.generation, start, end))
                if len(pending) == MAX_PARALLEL_RANGES:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _download_range(self, path: str, generation: int, start: int, end: int) -> bytes:
        """Download the bytes from `start` to `end` inclusive of one generation."""
        blob = self._blob(path)
        options = {"if_generation_match": generation, "checksum": None, "retry": None, "timeout": self._timeout}
        return self._retry(lambda: bytes(blob.download_as_bytes(start=start, end=end, **options)))

    def _upload_chunks(self, path: str, chunks: Iterable[bytes], content_type: str, write_id: str) -> "Blob | None":
        """Upload chunks and return the object that exists then, or `None`.

        If the object has another generation, this can be the result of this very write whose response was lost.
        """
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(path)
        blob.metadata, blob.cache_control, blob.chunk_size = {"write": write_id}, "no-store", RANGE_SIZE
        options = {
            "if_generation_match": 0,
            "checksum": None,
            "retry": self._retry_policy,
            "timeout": self._timeout,
        }
        try:
            blob.upload_from_file(ChunkReader(chunks), content_type=content_type, **options)
        except PreconditionFailed:
            return self._find(path)
        except ValueError as error:
            # The service may store only a part of a chunk and expect the rest. The library then raises ValueError
            # ("unexpected state"), because it cannot rewind the stream.
            if "unexpected state" not in str(error):
                raise
            raise Unavailable(f"{path} was stored only in part: retry the upload") from error
        return blob

    def _find(self, path: str) -> "Blob | None":
        from google.api_core.exceptions import NotFound as NotFoundResponse

        blob = self._blob(path)
        try:
            blob.reload(retry=self._retry_policy, timeout=self._timeout)
        except NotFoundResponse as error:
            if is_missing_bucket(error):
                raise
            return None
        return blob

    def _delete(self, path: str, generation: int) -> bool:
        from google.api_core.exceptions import NotFound as NotFoundResponse

        blob, attempts = self._blob(path), itertools.count()

        def attempt() -> bool:
            number = next(attempts)
            try:
                blob.delete(if_generation_match=generation, retry=None, timeout=self._timeout)
            except NotFoundResponse as error:
                if is_missing_bucket(error):
                    raise
                # Missing at a retry: the earlier attempt deleted it and its response was lost.
                return number > 0
            return True

        return self._retry(attempt)

    def _translate_errors(self, path: str, permission: str) -> AbstractContextManager[None]:
        return translate_errors(self._bucket, path, permission)


def _to_stored_object(path: str, blob: "Blob") -> StoredObject:
    return StoredObject(path, _size(blob), blob.generation, (blob.metadata or {}).get("sha256"), blob.updated)


def _size(blob: "Blob") -> int:
    # Some servers omit `size` for an empty object, as JSON from protobuf omits default values.
    return blob.size or 0

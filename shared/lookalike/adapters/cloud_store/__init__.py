"""A bucket of Google Cloud Storage. Google's library is imported with the first call, not with this module."""

import hashlib
import itertools
import re
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeVar

from lookalike.adapters.cloud_store.checksums import crc32c, md5
from lookalike.adapters.cloud_store.clients import CLIENTS, Clients
from lookalike.adapters.cloud_store.signing import signer
from lookalike.adapters.cloud_store.streams import Running, Stream
from lookalike.domain.errors import Conflict, InvalidField, LookalikeError, NotFound, Unavailable
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import LONGEST, check_path, check_prefix, is_path

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.storage import Blob, Client

__all__ = ["CLIENTS", "Clients", "CloudStore"]
T = TypeVar("T")
ENDPOINT = "https://storage.googleapis.com"
"""Always given to the library, which would otherwise follow STORAGE_EMULATOR_HOST and drop the credentials."""
IAM = "https://iamcredentials.googleapis.com"
LONGEST_VALIDITY = 7 * 24 * 3600
"""Seconds; Cloud Storage refuses addresses that are signed for longer."""
RANGE, RANGES_AT_ONCE = 16 << 20, 8
"""Bytes of a large object that are asked for at a time, and how many such requests go side by side."""
FIELDS = "items(name,size,generation,updated,metadata),nextPageToken"


class CloudStore:
    """The port `ObjectStore`. Every write names the generation that it replaces, so that a repeated one does no harm.

    `patience`: seconds for which a call is repeated while the service fails. `timeout`: seconds without an answer after
    which one attempt has failed. Every method raises `Unavailable` when patience is at an end, or at once where the
    bucket, the credentials or a right is missing.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str | None = None,
        credentials: "Credentials | None" = None,
        *,
        patience: float = 20.0,
        timeout: float = 10.0,
        clients: Clients = CLIENTS,
        iam: str = IAM,
    ) -> None:
        self._bucket, self._endpoint, self._credentials = bucket, endpoint or ENDPOINT, credentials
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._patience, self._timeout = patience, timeout
        self._clients, self._iam = clients, iam

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        check_path(path)
        write = uuid.uuid4().hex
        with self._translated(path, "storage.objects.create"):
            blob = self._described(path, data, content_type, write)
            if not self._uploaded(blob, data, content_type, if_generation):
                blob = self._found(path)
                if blob is None or not self._is_ours(path, blob, data, write, if_generation):
                    raise Conflict(f"{path} was written by another")
            return _about(path, blob)

    def get(self, path: str) -> bytes:
        """Raises `NotFound`, and `Unavailable` for bytes that twice were not those that were stored."""
        check_path(path)
        with self._translated(path, "storage.objects.get"):
            from google.cloud.storage.exceptions import DataCorruption

            try:
                return self._persist(lambda: self._downloaded(path))
            except DataCorruption:
                return self._persist(lambda: self._downloaded(path))

    def read(self, path: str) -> Iterator[bytes]:
        """Of one generation, several ranges at a time. Raises `Unavailable` at the end for bytes that were not stored so."""
        check_path(path)
        with self._translated(path, "storage.objects.get"):
            blob = self._found(path)
            if blob is None:
                raise NotFound(f"No object {path}")
            running = Running(self._ranges(path, blob))
            yield from running
            # ranges come without checksums
            if running.crc32c != blob.crc32c:
                raise Unavailable(f"{path} does not arrive as it was stored")

    def write(self, path: str, pieces: Iterable[bytes], content_type: str) -> StoredObject:
        """As a resumable upload: a piece that is lost on the way is sent again."""
        check_path(path)
        write, running = uuid.uuid4().hex, Running(pieces)
        with self._translated(path, "storage.objects.create"):
            blob = self._streamed(path, running, content_type, write)
            if blob is None or (blob.metadata or {}).get("write") != write:
                raise Conflict(f"{path} was written by another")
            if blob.crc32c != running.crc32c:
                self._deleted(path, blob.generation)
                raise Unavailable(f"{path} did not arrive as it was sent")
            return _about(path, blob)

    def stat(self, path: str) -> StoredObject | None:
        check_path(path)
        with self._translated(path, "storage.objects.get"):
            blob = self._found(path)
            return _about(path, blob) if blob else None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        with self._translated(prefix, "storage.objects.list"):
            asked = {"prefix": self._prefix + prefix, "fields": FIELDS}
            for blob in self._client.list_blobs(self._bucket, **asked, retry=self._retry, timeout=self._timeout):
                path = blob.name.removeprefix(self._prefix)
                if is_path(path):
                    yield _about(path, blob)

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        """Without a generation, that of the moment: a repeated delete must not reach what was written since."""
        check_path(path)
        with self._translated(path, "storage.objects.delete"):
            if if_generation is not None:
                return self._deleted(path, if_generation)
            there = self._found(path)
            return there is not None and self._deleted(path, there.generation)

    def url(self, path: str, seconds: int = 3600) -> str:
        """Signed by the credentials' own key, or by IAM for a service account that has none. At most seven days."""
        check_path(path)
        with self._translated(path, "iam.serviceAccounts.signBlob"):
            asked = {"version": "v4", "expiration": timedelta(seconds=min(seconds, LONGEST_VALIDITY))}
            blob, by = self._blob(path), signer(self._client, self._iam, self._timeout)
            return str(self._persist(lambda: blob.generate_signed_url(**asked, credentials=by)))

    @property
    def _client(self) -> "Client":
        return self._clients.get(self._endpoint, self._credentials)

    @property
    def _retry(self) -> Any:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self._patience).with_delay(initial=0.2, maximum=4)

    def _persist(self, attempt: Callable[[], T]) -> T:
        """The whole attempt each time: the library's own repeats resume, and then check nothing."""
        result: T = self._retry(attempt)()
        return result

    def _blob(self, path: str) -> "Blob":
        name = self._prefix + path
        if len(name.encode()) > LONGEST:
            raise InvalidField("Too long for the name of an object here", field="path")
        return self._client.bucket(self._bucket).blob(name)

    def _described(self, path: str, data: bytes, content_type: str, write: str) -> "Blob":
        """With checksums, so that the service refuses bytes that were changed on the way."""
        blob = self._blob(path)
        blob.crc32c, blob.md5_hash = crc32c(data), md5(data)
        blob.metadata = {"sha256": hashlib.sha256(data).hexdigest(), "write": write}
        blob.cache_control = "private, max-age=3600" if content_type.startswith("image/") else "no-store"
        return blob

    def _uploaded(self, blob: "Blob", data: bytes, content_type: str, if_generation: int) -> bool:
        """False if the object is of another generation, which may be that of this very write, answered and not heard."""
        from google.api_core.exceptions import PreconditionFailed

        # no checksum by the library: it would delete what it doubts, whoever's it is by then
        how = {"if_generation_match": if_generation, "checksum": None, "retry": None, "timeout": self._timeout}
        try:
            self._persist(lambda: blob.upload_from_string(data, content_type, **how))
        except PreconditionFailed:
            return False
        return True

    def _is_ours(self, path: str, blob: "Blob", data: bytes, write: str, if_generation: int) -> bool:
        if (blob.metadata or {}).get("write") == write:
            return True
        if if_generation or blob.size != len(data) or blob.crc32c != crc32c(data):
            return False
        # composed objects have no md5
        return bool(blob.md5_hash == md5(data)) if blob.md5_hash else self.get(path) == data

    def _downloaded(self, path: str) -> bytes:
        blob = self._blob(path)
        data: bytes = blob.download_as_bytes(checksum="crc32c", retry=None, timeout=self._timeout)
        if blob.crc32c is None:
            raise Unavailable(f"{path} came without a checksum")
        return data

    def _ranges(self, path: str, blob: "Blob") -> Iterator[bytes]:
        """In order, and never more than `RANGES_AT_ONCE` of them in memory."""
        with ThreadPoolExecutor(RANGES_AT_ONCE) as pool:
            asked: deque[Future[bytes]] = deque()
            for start in range(0, blob.size, RANGE):
                asked.append(pool.submit(self._range, path, blob, start))
                if len(asked) == RANGES_AT_ONCE:
                    yield asked.popleft().result()
            while asked:
                yield asked.popleft().result()

    def _range(self, path: str, whole: "Blob", start: int) -> bytes:
        blob, end = self._blob(path), min(start + RANGE, whole.size) - 1
        how = {"if_generation_match": whole.generation, "checksum": None, "retry": None, "timeout": self._timeout}
        return self._persist(lambda: bytes(blob.download_as_bytes(start=start, end=end, **how)))

    def _streamed(self, path: str, pieces: Iterable[bytes], content_type: str, write: str) -> "Blob | None":
        """What is there then: of another generation it may be that of this very write, answered and not heard."""
        from google.api_core.exceptions import PreconditionFailed

        blob = self._blob(path)
        blob.metadata, blob.cache_control, blob.chunk_size = {"write": write}, "no-store", RANGE
        how = {"if_generation_match": 0, "checksum": None, "retry": self._retry, "timeout": self._timeout}
        try:
            blob.upload_from_file(Stream(pieces), content_type=content_type, **how)
        except PreconditionFailed:
            return self._found(path)
        except ValueError as error:
            # the service may keep a part of a piece, and wait for the rest; the library cannot go back
            if "unexpected state" not in str(error):
                raise
            raise Unavailable(f"{path} did not arrive whole") from error
        return blob

    def _found(self, path: str) -> "Blob | None":
        from google.api_core.exceptions import NotFound as Missing

        blob = self._blob(path)
        try:
            blob.reload(retry=self._retry, timeout=self._timeout)
        except Missing as error:
            if _is_bucket(error):
                raise
            return None
        return blob

    def _deleted(self, path: str, generation: int) -> bool:
        from google.api_core.exceptions import NotFound as Missing

        blob, attempts = self._blob(path), itertools.count()

        def attempt() -> bool:
            number = next(attempts)
            try:
                blob.delete(if_generation_match=generation, retry=None, timeout=self._timeout)
            except Missing as error:
                if _is_bucket(error):
                    raise
                # gone at a repeat: the answer to the one before was lost
                return number > 0
            return True

        return self._persist(attempt)

    @contextmanager
    def _translated(self, path: str, right: str) -> Iterator[None]:
        """Google's errors into ours; `right` is what the call needs."""
        try:
            yield
        except LookalikeError:
            raise
        except Exception as error:
            told = self._told(error, path, right)
            if told is None:
                raise
            raise told from error

    def _told(self, error: Exception, path: str, right: str) -> LookalikeError | None:
        from google.api_core import exceptions as api
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption
        from urllib3.exceptions import HTTPError

        if isinstance(error, api.NotFound):
            no_bucket = Unavailable(f"There is no bucket {self._bucket}")
            return no_bucket if _is_bucket(error) else NotFound(f"No object {path}")
        if isinstance(error, api.PreconditionFailed):
            return Conflict(f"{path} was written by another")
        if isinstance(error, api.Forbidden):
            return Unavailable(f"The service account lacks {_denied(error, right)} on the bucket {self._bucket}")
        if isinstance(error, api.Unauthorized | GoogleAuthError):
            return Unavailable(f"Google does not accept the credentials for {right}, or there are none")
        if isinstance(error, DataCorruption):
            return Unavailable(f"{path} does not arrive as it was stored")
        if isinstance(error, api.GoogleAPIError | HTTPError | HTTPException | OSError):
            return Unavailable("Cloud Storage cannot be reached, or does not do its work")
        return None


def _about(path: str, blob: "Blob") -> StoredObject:
    return StoredObject(path, blob.size, blob.generation, (blob.metadata or {}).get("sha256"), blob.updated)


def _is_bucket(error: Exception) -> bool:
    """Whether what was not found is the bucket itself; only the message tells."""
    return "bucket does not exist" in str(error)


def _denied(error: Exception, right: str) -> str:
    named = re.search(r"storage\.(objects|buckets|managedFolders)\.\w+", str(error))
    return named.group() if named else right

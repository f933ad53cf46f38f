"""Emulator of Cloud Storage's JSON API over HTTP, in memory, with injected faults, and of IAM's `signBlob`.

Supports what the adapter uses: media, multipart and resumable uploads, metadata, downloads, byte ranges, lists, deletes and
signed URLs. Does not support patches, composing, object versioning and the creation of buckets.
"""

import base64
import itertools
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.emulators.bucket import ApiError, Bucket, Preconditions, Resource, StoredVersion
from tests.emulators.signatures import is_valid_signed_url, sign

FaultKind = Literal[
    "error", "reset", "drop_response", "stall", "corrupt_request", "corrupt_response", "truncate_response"
]


@dataclass
class Fault:
    """A fault of the next `times` requests with `method`, or with any method if it is empty.

    error: respond with `status` without processing. reset: close the connection without processing. drop_response: process,
    then close the connection. stall: wait `seconds`, then close the connection without processing. corrupt_request: replace
    `pixels` by `pixel!` in the request body. corrupt_response: flip one bit. truncate_response: send half of the body.
    """

    kind: FaultKind
    times: int = 1
    method: str = ""
    status: int = 503
    message: str = "We encountered an internal error. Please try again."
    seconds: float = 5.0

    @property
    def prevents_processing(self) -> bool:
        """Whether the request is not processed."""
        return self.kind in ("error", "reset", "stall")


@dataclass(frozen=True)
class Request:
    """A received request. `target` is the raw request target, `path` and `query` are parsed from it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    target: str


@dataclass(frozen=True)
class Response:
    """A response to send."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, content: Resource, status: int = 200, **headers: str) -> "Response":
        """Return a response with JSON content."""
        return cls(status, json.dumps(content).encode(), {"Content-Type": "application/json; charset=UTF-8", **headers})


@dataclass
class UploadSession:
    """A resumable upload."""

    resource: Resource
    conditions: Preconditions
    data: bytes = b""
    done: StoredVersion | None = None


class StorageServer(ThreadingHTTPServer):
    """The emulator with its state and settings.

    `requests`: all requests so far, unless `records_requests` is false. `page_size`: maximum number of objects in one page
    of a list. `account`: the service account for which IAM signs. `stores_half_chunks`: store only half of each chunk of a
    resumable upload but the last, as the protocol allows. `omits_zero_size`: leave `size` out of the resource of an empty
    object.
    """

    daemon_threads = True
    account = "store@project.iam.gserviceaccount.com"

    def __init__(self, *buckets: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.buckets = {name: Bucket(name) for name in buckets}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.stores_half_chunks = self.omits_zero_size = False
        self.records_requests = True
        self.page_size = 1000
        self.closing = threading.Event()
        self._sessions: dict[str, UploadSession] = {}
        self._ids, self._lock = itertools.count(), threading.Lock()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that close the connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def next_fault(self, request: Request) -> Fault | None:
        """Record a request, and return the fault to apply to it, if any."""
        with self._lock:
            if self.records_requests:
                self.requests.append(request)
            for fault in self.faults:
                if fault.times and request.method.startswith(fault.method):
                    fault.times -= 1
                    return fault
        return None

    def handle(self, request: Request) -> Response:
        """Process a request."""
        try:
            for (method, pattern), handler in ROUTES.items():
                if request.method == method and (match := re.fullmatch(pattern, request.path)):
                    return handler(self, request, *(unquote(part) for part in match.groups()))
            raise ApiError(404, "notFound", "Not Found")
        except ApiError as error:
            return error_response(error)

    def bucket(self, name: str) -> Bucket:
        """Return a bucket. Raises `ApiError` 404."""
        if name not in self.buckets:
            raise ApiError(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]

    def describe(self, version: StoredVersion, bucket: str) -> Resource:
        """Return the object resource."""
        resource = version.to_json(bucket)
        if self.omits_zero_size and not version.data:
            del resource["size"]
        return resource

    def list(self, request: Request, bucket: str) -> Response:
        """Return a page of objects."""
        after = base64.b64decode(request.query.get("pageToken", "")).decode()
        size = min(int(request.query.get("maxResults", "1000")), self.page_size)
        names = self.bucket(bucket).names(request.query.get("prefix", ""), after)
        versions = [self.buckets[bucket].objects.get(name) for name in names[:size]]
        items = [self.describe(version, bucket) for version in versions if version]
        content: Resource = {"kind": "storage#objects", "items": items}
        if len(names) > size:
            content["nextPageToken"] = base64.b64encode(names[size - 1].encode()).decode()
        return Response.from_json(select_fields(content, request.query.get("fields")))

    def get(self, request: Request, bucket: str, name: str) -> Response:
        """Return the content or the resource of an object."""
        version = self.bucket(bucket).read(name, Preconditions.from_query(request.query))
        if request.query.get("alt") == "media":
            return media_response(version, request)
        return Response.from_json(self.describe(version, bucket))

    def delete(self, request: Request, bucket: str, name: str) -> Response:
        """Delete an object."""
        self.bucket(bucket).delete(name, Preconditions.from_query(request.query))
        return Response(204)

    def upload(self, request: Request, bucket: str) -> Response:
        """Store an object by a media or multipart upload, or start a resumable one."""
        upload_type = request.query.get("uploadType")
        if upload_type == "resumable":
            return self._start_resumable(request, bucket)
        if upload_type == "multipart":
            resource, data = parse_multipart(request)
        else:
            resource = {"name": request.query["name"], "contentType": request.headers["content-type"]}
            data = request.body
        version = self.bucket(bucket).write(resource, data, Preconditions.from_query(request.query))
        return Response.from_json(self.describe(version, bucket))

    def _start_resumable(self, request: Request, bucket: str) -> Response:
        resource, conditions = json.loads(request.body), Preconditions.from_query(request.query)
        resource.setdefault("contentType", request.headers.get("x-upload-content-type"))
        self.bucket(bucket).check_preconditions(resource["name"], conditions)
        upload_id = str(next(self._ids))
        self._sessions[upload_id] = UploadSession(resource, conditions)
        location = f"{self.url}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={upload_id}"
        return Response(200, b"", {"Location": location})

    def resume(self, request: Request, bucket: str) -> Response:
        """Store a chunk of a resumable upload, or report its progress."""
        session = self._sessions.get(request.query.get("upload_id", ""))
        if session is None:
            raise ApiError(404, "notFound", "No such upload")
        if session.done is None:
            self._store_chunk(session, request, bucket)
        if session.done:
            return Response.from_json(self.describe(session.done, bucket))
        return Response(308, b"", {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {})

    def _store_chunk(self, session: UploadSession, request: Request, bucket: str) -> None:
        start, total = parse_content_range(request.headers.get("content-range", f"bytes 0-0/{len(request.body)}"))
        if start is not None:
            if start > len(session.data):
                raise ApiError(503, "backendError", "A chunk is missing")
            stored = len(request.body) // 2 if self.stores_half_chunks and total is None else None
            session.data = session.data[:start] + request.body[:stored]
        if total == len(session.data):
            hashes = dict(pair.split("=", 1) for pair in request.headers.get("x-goog-hash", "").split(",") if pair)
            resource = session.resource | {key: hashes[name] for name, key in HASH_FIELDS.items() if name in hashes}
            session.done = self.bucket(bucket).write(resource, session.data, session.conditions)

    def token(self, _: Request) -> Response:
        """Return an access token of a service account with a key. Requests are accepted with any token."""
        return Response.from_json({"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"})

    def sign_blob(self, request: Request, account: str) -> Response:
        """Sign bytes for the service account, as IAM does."""
        if account != self.account:
            raise ApiError(
                403, "forbidden", "Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist)."
            )
        signature = sign(base64.b64decode(json.loads(request.body)["payload"]))
        return Response.from_json({"keyId": "1", "signedBlob": base64.b64encode(signature).decode()})

    def get_signed(self, request: Request, bucket: str, name: str) -> Response:
        """Return the content of an object for a signed URL."""
        if not is_valid_signed_url(request.target, request.headers["host"]):
            raise ApiError(403, "SignatureDoesNotMatch", "Access denied.")
        return media_response(self.bucket(bucket).read(name, Preconditions()), request)


HASH_FIELDS = {"crc32c": "crc32c", "md5": "md5Hash"}
"""Fields of the object resource by name in the header X-Goog-Hash."""
ROUTES: dict[tuple[str, str], Callable[..., Response]] = {
    ("GET", r"/storage/v1/b/([^/]+)/o"): StorageServer.list,
    ("GET", r"/(?:download/)?storage/v1/b/([^/]+)/o/([^/]+)"): StorageServer.get,
    ("DELETE", r"/storage/v1/b/([^/]+)/o/([^/]+)"): StorageServer.delete,
    ("POST", r"/upload/storage/v1/b/([^/]+)/o"): StorageServer.upload,
    ("PUT", r"/upload/storage/v1/b/([^/]+)/o"): StorageServer.resume,
    ("POST", r"/v1/projects/-/serviceAccounts/([^/]+):signBlob"): StorageServer.sign_blob,
    ("POST", "/token"): StorageServer.token,
    ("GET", r"/([^/]+)/(.+)"): StorageServer.get_signed,
}


def error_response(error: ApiError) -> Response:
    """Return the response for an error, in Google's JSON format."""
    if error.status == 304:
        return Response(304)
    reasons = [{"reason": error.reason, "message": error.message}]
    return Response.from_json(
        {"error": {"code": error.status, "message": error.message, "errors": reasons}}, error.status
    )


def media_response(version: StoredVersion, request: Request) -> Response:
    """Return the content, or the requested range of it."""
    requested = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
    if requested is None:
        return Response(200, version.data, version.headers)
    start, end = int(requested.group(1)), min(int(requested.group(2)), len(version.data) - 1)
    content_range = {"Content-Range": f"bytes {start}-{end}/{len(version.data)}"}
    return Response(206, version.data[start : end + 1], version.headers | content_range)


def select_fields(content: Resource, fields: str | None) -> Resource:
    """Return the parts of a list response named by `fields`, as in `items(name,size),nextPageToken`."""
    if fields is None:
        return content
    names = set(re.findall(r"\w+(?=\(|,|$)", re.sub(r"\(.*?\)", "", fields)))
    selected = {key: value for key, value in content.items() if key in names}
    if inner := re.search(r"items\((.*?)\)", fields):
        item_names = inner.group(1).split(",")
        selected["items"] = [{name: item[name] for name in item_names if name in item} for item in content["items"]]
    return selected


def parse_multipart(request: Request) -> tuple[Resource, bytes]:
    """Return the resource and the content of a `multipart/related` body."""
    match = re.search('boundary="?([^";]+)', request.headers["content-type"])
    if match is None:
        raise ApiError(400, "badContent", "No boundary")
    delimiter = b"--" + match.group(1).encode()
    first, second = request.body.removeprefix(delimiter + b"\r\n").split(b"\r\n" + delimiter + b"\r\n", 1)
    head, data = second.split(b"\r\n\r\n", 1)
    resource: Resource = json.loads(first.split(b"\r\n\r\n", 1)[1])
    content_type = head.decode().partition(":")[2].strip()
    return {"contentType": content_type} | resource, data.removesuffix(b"\r\n" + delimiter + b"--")


def parse_content_range(header: str) -> tuple[int | None, int | None]:
    """Return the offset of a chunk and the total size, each `None` if the header does not give it."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", header)
    if match is None:
        raise ApiError(400, "badRequest", "Not a content range")
    start, total = (int(part) if part else None for part in match.groups())
    return start, total


class Handler(BaseHTTPRequestHandler):
    """Passes requests to the server and applies faults."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StorageServer

    def handle_one(self) -> None:
        """Respond to a request."""
        request = self._read()
        fault = self.server.next_fault(request)
        if fault and fault.prevents_processing:
            return self._fail(fault)
        if fault and fault.kind == "corrupt_request":
            request = replace(request, body=request.body.replace(b"pixels", b"pixel!"))
        response = self.server.handle(request)
        if fault and fault.kind == "drop_response":
            return self._drop()
        return self._send(response, fault.kind if fault else None)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815 - names used by http.server

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _read(self) -> Request:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionResetError("The client closed the connection within a request")
        url = urlsplit(self.path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        return Request(self.command, url.path, dict(parse_qsl(url.query)), headers, body, self.path)

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "error":
            return self._send(error_response(ApiError(fault.status, "injected", fault.message)))
        if fault.kind == "stall":
            self.server.closing.wait(fault.seconds)
        return self._drop()

    def _drop(self) -> None:
        self.close_connection = True

    def _send(self, response: Response, fault: FaultKind | None = None) -> None:
        body = response.body
        self.send_response(response.status)
        for name, value in {**response.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault == "corrupt_response":
            body = bytes([body[0] ^ 1]) + body[1:] if body else body
        if fault == "truncate_response":
            body = body[: len(body) // 2]
            self._drop()
        self.wfile.write(body)


@contextmanager
def storage_server(*buckets: str) -> Iterator[StorageServer]:
    """Run an emulator with empty buckets on a free port."""
    server = StorageServer(*buckets)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()

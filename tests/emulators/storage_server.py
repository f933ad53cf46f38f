"""Cloud Storage's JSON API over HTTP, from memory, with faults on demand; and the IAM call that signs addresses.

It answers what the adapter asks for, as documented: media, multipart and resumable uploads, metadata, media, lists, deletes,
signed addresses, byte ranges. Not there: patches, composing, versions, buckets made by request.
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

from tests.emulators.bucket import Bucket, Conditions, Held, Refusal, Resource
from tests.emulators.signatures import check_signature, sign

Kind = Literal["refuse", "reset", "lose", "stall", "garble", "corrupt", "truncate"]


@dataclass
class Fault:
    """What goes wrong the next `times` times that a request of `method` comes, all methods where it is empty.

    refuse: `status` is answered and nothing done. reset: the connection breaks before anything is done. lose: it breaks after the
    work. stall: no answer for `seconds`, nothing done. garble: `pixels` arrives as `pixel!`. corrupt: one byte of the
    answer is another. truncate: half an answer.
    """

    kind: Kind
    times: int = 1
    method: str = ""
    status: int = 503
    message: str = "We encountered an internal error. Please try again."
    seconds: float = 5.0

    @property
    def does_no_work(self) -> bool:
        return self.kind in ("refuse", "reset", "stall")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    target: str


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Resource, status: int = 200, **headers: str) -> "Answer":
        return cls(status, json.dumps(content).encode(), {"Content-Type": "application/json; charset=UTF-8", **headers})


@dataclass
class Session:
    """A resumable upload."""

    resource: Resource
    conditions: Conditions
    data: bytes = b""
    done: Held | None = None


class StorageServer(ThreadingHTTPServer):
    """`asked` is every request so far; `page` the most objects of one page of a list; `account` the one that IAM signs for."""

    daemon_threads = True
    account = "store@project.iam.gserviceaccount.com"

    def __init__(self, *buckets: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.buckets = {name: Bucket(name) for name in buckets}
        self.asked: list[Request] = []
        self.faults: list[Fault] = []
        self.keeps_half = False
        """Of each piece of a resumable upload but the last, as the protocol allows."""
        self.page = 1000
        self.closing = threading.Event()
        self._sessions: dict[str, Session] = {}
        self._ids, self._lock = itertools.count(), threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is none."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def fault(self, request: Request) -> Fault | None:
        with self._lock:
            self.asked.append(request)
            for fault in self.faults:
                if fault.times and request.method.startswith(fault.method):
                    fault.times -= 1
                    return fault
        return None

    def answer(self, request: Request) -> Answer:
        try:
            for (method, pattern), do in ROUTES.items():
                if request.method == method and (found := re.fullmatch(pattern, request.path)):
                    return do(self, request, *(unquote(part) for part in found.groups()))
            raise Refusal(404, "notFound", "Not Found")
        except Refusal as no:
            return refused(no)

    def bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise Refusal(404, "notFound", "The specified bucket does not exist.")
        return self.buckets[name]

    def list(self, request: Request, bucket: str) -> Answer:
        after = base64.b64decode(request.query.get("pageToken", "")).decode()
        size = min(int(request.query.get("maxResults", "1000")), self.page)
        names = self.bucket(bucket).names(request.query.get("prefix", ""), after)
        held = [self.buckets[bucket].objects.get(name) for name in names[:size]]
        answer: Resource = {"kind": "storage#objects", "items": [one.resource(bucket) for one in held if one]}
        if len(names) > size:
            answer["nextPageToken"] = base64.b64encode(names[size - 1].encode()).decode()
        return Answer.of(only(answer, request.query.get("fields")))

    def get(self, request: Request, bucket: str, name: str) -> Answer:
        held = self.bucket(bucket).read(name, Conditions.of(request.query))
        return media(held, request) if request.query.get("alt") == "media" else Answer.of(held.resource(bucket))

    def delete(self, request: Request, bucket: str, name: str) -> Answer:
        self.bucket(bucket).delete(name, Conditions.of(request.query))
        return Answer(204)

    def upload(self, request: Request, bucket: str) -> Answer:
        kind = request.query.get("uploadType")
        if kind == "resumable":
            return self._initiate(request, bucket)
        if kind == "multipart":
            resource, data = parts(request)
        else:
            resource, data = (
                {"name": request.query["name"], "contentType": request.headers["content-type"]},
                request.body,
            )
        return Answer.of(self.bucket(bucket).write(resource, data, Conditions.of(request.query)).resource(bucket))

    def _initiate(self, request: Request, bucket: str) -> Answer:
        resource, conditions = json.loads(request.body), Conditions.of(request.query)
        resource.setdefault("contentType", request.headers.get("x-upload-content-type"))
        self.bucket(bucket).check(resource["name"], conditions)
        name = str(next(self._ids))
        self._sessions[name] = Session(resource, conditions)
        address = f"{self.address}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={name}"
        return Answer(200, b"", {"Location": address})

    def resume(self, request: Request, bucket: str) -> Answer:
        session = self._sessions.get(request.query.get("upload_id", ""))
        if session is None:
            raise Refusal(404, "notFound", "No such upload")
        if session.done is None:
            self._continue(session, request, bucket)
        if session.done:
            return Answer.of(session.done.resource(bucket))
        return Answer(308, b"", {"Range": f"bytes=0-{len(session.data) - 1}"} if session.data else {})

    def _continue(self, session: Session, request: Request, bucket: str) -> None:
        start, total = content_range(request.headers.get("content-range", f"bytes 0-0/{len(request.body)}"))
        if start is not None:
            if start > len(session.data):
                raise Refusal(503, "backendError", "A piece is missing")
            half = len(request.body) // 2 if self.keeps_half and total is None else None
            session.data = session.data[:start] + request.body[:half]
        if total == len(session.data):
            told = dict(pair.split("=", 1) for pair in request.headers.get("x-goog-hash", "").split(",") if pair)
            resource = session.resource | {key: told[name] for name, key in HASHES.items() if name in told}
            session.done = self.bucket(bucket).write(resource, session.data, session.conditions)

    def token(self, _: Request) -> Answer:
        """What a service account's key is good for; the token is not looked at."""
        return Answer.of({"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"})

    def sign_blob(self, request: Request, account: str) -> Answer:
        if account != self.account:
            raise Refusal(
                403, "forbidden", "Permission 'iam.serviceAccounts.signBlob' denied on resource (or it may not exist)."
            )
        signed = sign(base64.b64decode(json.loads(request.body)["payload"]))
        return Answer.of({"keyId": "1", "signedBlob": base64.b64encode(signed).decode()})

    def signed(self, request: Request, bucket: str, name: str) -> Answer:
        if not check_signature(request.target, request.headers["host"]):
            raise Refusal(403, "SignatureDoesNotMatch", "Access denied.")
        return media(self.bucket(bucket).read(name, Conditions()), request)


HASHES = {"crc32c": "crc32c", "md5": "md5Hash"}
ROUTES: dict[tuple[str, str], Callable[..., Answer]] = {
    ("GET", r"/storage/v1/b/([^/]+)/o"): StorageServer.list,
    ("GET", r"/(?:download/)?storage/v1/b/([^/]+)/o/([^/]+)"): StorageServer.get,
    ("DELETE", r"/storage/v1/b/([^/]+)/o/([^/]+)"): StorageServer.delete,
    ("POST", r"/upload/storage/v1/b/([^/]+)/o"): StorageServer.upload,
    ("PUT", r"/upload/storage/v1/b/([^/]+)/o"): StorageServer.resume,
    ("POST", r"/v1/projects/-/serviceAccounts/([^/]+):signBlob"): StorageServer.sign_blob,
    ("POST", "/token"): StorageServer.token,
    ("GET", r"/([^/]+)/(.+)"): StorageServer.signed,
}


def refused(no: Refusal) -> Answer:
    if no.status == 304:
        return Answer(304)
    error = {"code": no.status, "message": no.message, "errors": [{"reason": no.reason, "message": no.message}]}
    return Answer.of({"error": error}, no.status)


def media(held: Held, request: Request) -> Answer:
    """All of it, or the range that is asked for."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
    if asked is None:
        return Answer(200, held.data, held.headers)
    start, end = int(asked.group(1)), min(int(asked.group(2)), len(held.data) - 1)
    told = {"Content-Range": f"bytes {start}-{end}/{len(held.data)}"}
    return Answer(206, held.data[start : end + 1], held.headers | told)


def only(answer: Resource, fields: str | None) -> Resource:
    """What `fields` lets through, as in `items(name,size),nextPageToken`."""
    if fields is None:
        return answer
    wanted = set(re.findall(r"\w+(?=\(|,|$)", re.sub(r"\(.*?\)", "", fields)))
    kept = {key: value for key, value in answer.items() if key in wanted}
    if inner := re.search(r"items\((.*?)\)", fields):
        names = inner.group(1).split(",")
        kept["items"] = [{name: item[name] for name in names if name in item} for item in answer["items"]]
    return kept


def parts(request: Request) -> tuple[Resource, bytes]:
    """The metadata and the media of a `multipart/related` body."""
    found = re.search('boundary="?([^";]+)', request.headers["content-type"])
    if found is None:
        raise Refusal(400, "badContent", "No boundary")
    line = b"--" + found.group(1).encode()
    first, second = request.body.removeprefix(line + b"\r\n").split(b"\r\n" + line + b"\r\n", 1)
    head, data = second.split(b"\r\n\r\n", 1)
    resource: Resource = json.loads(first.split(b"\r\n\r\n", 1)[1])
    kind = head.decode().partition(":")[2].strip()
    return {"contentType": kind} | resource, data.removesuffix(b"\r\n" + line + b"--")


def content_range(told: str) -> tuple[int | None, int | None]:
    """Where the bytes start and how many there will be in all, as far as either is told."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(?:(\d+)|\*)", told)
    if found is None:
        raise Refusal(400, "badRequest", "Not a content range")
    start, total = (int(part) if part else None for part in found.groups())
    return start, total


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StorageServer

    def handle_one(self) -> None:
        request = self._read()
        fault = self.server.fault(request)
        if fault and fault.does_no_work:
            return self._fail(fault)
        if fault and fault.kind == "garble":
            request = replace(request, body=request.body.replace(b"pixels", b"pixel!"))
        answer = self.server.answer(request)
        if fault and fault.kind == "lose":
            return self._drop()
        return self._send(answer, fault.kind if fault else None)

    do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _read(self) -> Request:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        address = urlsplit(self.path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        return Request(self.command, address.path, dict(parse_qsl(address.query)), headers, body, self.path)

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "refuse":
            return self._send(refused(Refusal(fault.status, "injected", fault.message)))
        if fault.kind == "stall":
            self.server.closing.wait(fault.seconds)
        return self._drop()

    def _drop(self) -> None:
        self.close_connection = True

    def _send(self, answer: Answer, fault: Kind | None = None) -> None:
        body = answer.body
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if fault == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:] if body else body
        if fault == "truncate":
            body = body[: len(body) // 2]
            self._drop()
        self.wfile.write(body)


@contextmanager
def storage_server(*buckets: str) -> Iterator[StorageServer]:
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

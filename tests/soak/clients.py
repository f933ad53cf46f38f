"""Clients that upload, search, delete, cancel and rebuild at random, and record what they see."""

import http.client
import itertools
import random
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from lookalike.usecases.upload import segment_name
from tests.e2e.server import HttpResponse, Server, encode_base64
from tests.soak.operations import (
    JOBS,
    LOST,
    TIMEOUT,
    UNREACHABLE,
    Answer,
    Kind,
    Operation,
    Outcome,
    Recorder,
    read_answer,
)
from tests.soak.photos import PhotoPool, SoakPhoto

SEARCH_SIZE = 100
"""The most matches that a search can ask for."""
WEIGHTS = {
    Kind.SEARCH: 50,
    Kind.UPLOAD: 20,
    Kind.DELETE: 11,
    Kind.CANCEL: 8,
    Kind.REPEAT: 4,
    Kind.CONFLICT: 3,
    Kind.REBUILD: 1,
}
"""How often clients do what, relative to each other."""
MIN_COPIES, MAX_COPIES = 1, 12
"""Stored photos, for each photo of the pool, from which clients delete and up to which they upload.

They are so few that a query finds all copies of its photo.
"""
RETRY_SHARE = 0.7
"""Part of the uploads with an unknown outcome that are sent again. The others stay unknown."""
PAUSE = 0.5
"""Seconds that a client waits before it tries again."""


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo whose upload was acknowledged."""

    name: str
    photo: SoakPhoto
    segments: tuple[str, ...]
    """Its garments that were not deleted."""


@dataclass
class Inventory:
    """The stored photos that clients may change. Only one client at a time uses a photo. Thread-safe."""

    _photos: list[StoredPhoto] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self._photos)

    def put(self, photo: StoredPhoto) -> None:
        """Add a photo, or give it back."""
        with self._lock:
            self._photos.append(photo)

    def take(self, rng: random.Random) -> StoredPhoto | None:
        """Remove and return a photo; `None` if there is none."""
        with self._lock:
            if not self._photos:
                return None
            position = rng.randrange(len(self._photos))
            self._photos[position], self._photos[-1] = self._photos[-1], self._photos[position]
            return self._photos.pop()


@dataclass
class Workload:
    """What all clients share."""

    server: Server
    admin_headers: dict[str, str]
    pool: PhotoPool
    rebuilds_end: float
    """Seconds since the start after which clients do not rebuild the index any more."""
    start: float = field(default_factory=time.monotonic)
    recorder: Recorder = field(default_factory=Recorder)
    inventory: Inventory = field(default_factory=Inventory)
    stopping: threading.Event = field(default_factory=threading.Event)
    cancelable: dict[str, Kind] = field(default_factory=dict)
    """Running uploads and searches by request id."""

    def now(self) -> float:
        """Return the seconds since the start of the load."""
        return time.monotonic() - self.start

    @contextmanager
    def offer_for_cancellation(self, request_id: str, kind: Kind) -> Iterator[None]:
        """Let other clients cancel a request inside the context, if it runs as a job."""
        if request_id and kind in JOBS:
            self.cancelable[request_id] = kind
        try:
            yield
        finally:
            self.cancelable.pop(request_id, None)


class Client(threading.Thread):
    """A client that sends one request after the other until the workload stops."""

    def __init__(self, number: int, workload: Workload, seed: int) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.error: BaseException | None = None
        """Error of the test itself, which ended the client."""
        self._number, self._workload, self._rng = number, workload, random.Random(1000 * seed + number)
        self._ids = (f"{number}-{count}" for count in itertools.count())
        self._actions: dict[Kind, Callable[[], None]] = {
            Kind.SEARCH: self._search_at_random,
            Kind.UPLOAD: self._upload_new,
            Kind.DELETE: self._delete,
            Kind.CANCEL: self._cancel,
            Kind.REPEAT: self._upload_again,
            Kind.CONFLICT: self._upload_other,
            Kind.REBUILD: self._rebuild,
        }

    def run(self) -> None:
        """Send requests."""
        try:
            while not self._workload.stopping.is_set():
                self._actions[self._choose()]()
        except BaseException as error:
            self.error = error

    def search(self, query: int, include: str = "none", is_signed_in: bool = False, has_id: bool = True) -> Operation:
        """Search with a query of the pool."""
        photo = encode_base64(self._workload.pool.queries[query])
        body = {"image_base64": photo, "num": SEARCH_SIZE, "include": include}
        headers = self._workload.admin_headers if is_signed_in else {}

        def parse(content: dict[str, Any]) -> Answer:
            return read_answer(query, content, SEARCH_SIZE)

        return self._send(Kind.SEARCH, "POST", "/relay_image", body, headers, parse=parse, has_id=has_id)

    def _choose(self) -> Kind:
        kind = self._rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        copies = len(self._workload.inventory) / len(self._workload.pool.photos)
        if kind is Kind.UPLOAD and copies >= MAX_COPIES:
            return Kind.DELETE
        if kind is Kind.DELETE and copies < MIN_COPIES:
            return Kind.UPLOAD
        if kind is Kind.REBUILD and self._workload.now() > self._workload.rebuilds_end:
            return Kind.SEARCH
        return kind

    def _search_at_random(self) -> None:
        query = self._rng.randrange(len(self._workload.pool.queries))
        include = self._rng.choice(["none", "none", "thumbnail"])
        self.search(query, include, is_signed_in=self._rng.random() < 0.3, has_id=self._rng.random() < 0.5)

    def _upload_new(self) -> None:
        name, photo = f"photo-{next(self._ids)}", self._rng.choice(self._workload.pool.photos)
        segments = tuple(segment_name(name, number) for number in range(len(photo.columns)))
        self._workload.recorder.columns.update(zip(segments, photo.columns, strict=True))
        stored = StoredPhoto(name, photo, segments)
        operation = self._upload(Kind.UPLOAD, stored, photo)
        while operation.outcome is Outcome.UNKNOWN and self._rng.random() < RETRY_SHARE:
            operation = self._upload(Kind.REPEAT, stored, photo)
        if operation.outcome is Outcome.DONE:
            self._workload.inventory.put(stored)

    def _upload_again(self) -> None:
        if stored := self._workload.inventory.take(self._rng):
            self._upload(Kind.REPEAT, stored, stored.photo)
            self._workload.inventory.put(stored)

    def _upload_other(self) -> None:
        """Upload another photo under a name that is taken."""
        if stored := self._workload.inventory.take(self._rng):
            other = (stored.photo.number + 1) % len(self._workload.pool.photos)
            self._upload(Kind.CONFLICT, stored, self._workload.pool.photos[other])
            self._workload.inventory.put(stored)

    def _upload(self, kind: Kind, stored: StoredPhoto, photo: SoakPhoto) -> Operation:
        body = {"image_base64": encode_base64(photo.data), "image_name": stored.name}
        return self._send(kind, "POST", "/upload_image", body, self._workload.admin_headers, stored.segments)

    def _delete(self) -> None:
        """Delete a photo, or one of its garments. Repeats the request until it is certain that they are gone."""
        stored = self._workload.inventory.take(self._rng)
        if stored is None:
            return
        path, deleted = f"by_original/{stored.name}", stored.segments
        if len(stored.segments) > 1 and self._rng.random() < 0.5:
            path = self._rng.choice(stored.segments)
            deleted = (path,)
        while not self._workload.stopping.is_set():
            operation = self._send_deletion(path, deleted)
            if operation.outcome is Outcome.DONE or operation.code == "not_found":
                rest = tuple(name for name in stored.segments if name not in deleted)
                if rest:
                    self._workload.inventory.put(replace(stored, segments=rest))
                return

    def _send_deletion(self, path: str, names: tuple[str, ...]) -> Operation:
        headers = self._workload.admin_headers
        return self._send(Kind.DELETE, "DELETE", f"/splitted_images/{path}", None, headers, names)

    def _cancel(self) -> None:
        running = list(self._workload.cancelable)
        if running:
            target, headers = self._rng.choice(running), self._workload.admin_headers
            self._send(Kind.CANCEL, "POST", f"/cancel_request/{target}", None, headers, target=target)

    def _rebuild(self) -> None:
        body = {"force": self._rng.random() < 0.5}
        self._send(Kind.REBUILD, "POST", "/reindex", body, self._workload.admin_headers)

    def _send(
        self,
        kind: Kind,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        headers: dict[str, str],
        names: tuple[str, ...] = (),
        target: str = "",
        parse: Callable[[dict[str, Any]], Answer] | None = None,
        has_id: bool = True,
    ) -> Operation:
        """Send a request and record it. Waits a moment if the server cannot work on it now.

        Without an id of the client, the server chooses one, by which nobody can cancel the request.
        """
        request_id = f"request-{next(self._ids)}" if has_id else ""
        headers = {**headers, "X-Request-Id": request_id} if has_id else headers
        start = self._workload.now()
        with self._workload.offer_for_cancellation(request_id, kind):
            outcome, code, content = exchange(self._workload.server, method, path, body, headers)
        end = self._workload.now()
        answer = parse(content) if parse and outcome is Outcome.DONE else None
        operation = Operation(
            kind,
            request_id or content.get("request_id", ""),
            start,
            end,
            outcome,
            code,
            names=names,
            listed=listed_segments(content),
            answer=answer,
            target=target,
            has_chosen_id=has_id,
        )
        self._workload.recorder.operations.append(operation)
        if code in ("busy", "unavailable", UNREACHABLE, LOST):
            self._workload.stopping.wait(PAUSE)
        return operation


def exchange(
    server: Server, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
) -> tuple[Outcome, str, dict[str, Any]]:
    """Send a request, and return its outcome, its code and the body of the response."""
    try:
        return interpret(server.request(method, path, body, headers))
    except TimeoutError:
        return Outcome.UNKNOWN, TIMEOUT, {}
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return Outcome.REFUSED, UNREACHABLE, {}
        return Outcome.UNKNOWN, LOST, {}
    except (OSError, http.client.HTTPException):
        return Outcome.UNKNOWN, LOST, {}


def interpret(response: HttpResponse) -> tuple[Outcome, str, dict[str, Any]]:
    """Return outcome, code and body of a response.

    After a 503 or an unexpected error a write may have been committed. A 504 promises that it was not.
    """
    content: dict[str, Any] = response.json
    if content["success"]:
        is_partial = bool((content.get("data") or {}).get("counts", {}).get("remaining"))
        return Outcome.UNKNOWN if is_partial else Outcome.DONE, "ok", content
    is_open = response.status >= 500 and response.status != 504
    return Outcome.UNKNOWN if is_open else Outcome.REFUSED, content["error"]["code"], content


def listed_segments(content: dict[str, Any]) -> tuple[str, ...]:
    """Return the garments that the response to an upload or a deletion names."""
    segments = (content.get("data") or {}).get("segments", ())
    return tuple(one if isinstance(one, str) else str(one["splitted_image_id"]) for one in segments)

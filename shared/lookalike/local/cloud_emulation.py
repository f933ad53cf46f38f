"""What the cloud does around the functions, on one machine: events for photos dropped into `incoming/`, and a schedule."""

import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from cloudevents.http import CloudEvent, to_binary

from lookalike.domain.errors import LookalikeError
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import INCOMING
from lookalike.domain.ports import ObjectStore
from lookalike.http.events import FINALIZED

log = logging.getLogger("lookalike.platform")
LOOK_EVERY = 1.0
SETTLED = 1.0
"""Seconds for which a file must not have changed: it may still be being copied."""
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0
"""Seconds between deliveries of an event that was not acknowledged, as Eventarc's."""


@dataclass
class Delivery:
    """An event that was not acknowledged yet."""

    generation: int
    pause: float = FIRST_PAUSE
    due: float = 0.0


class Bucket:
    """Sends an event to the gateway for each new version of an object under `incoming/`, until it is acknowledged."""

    def __init__(self, store: ObjectStore, gateway: str, bucket: str) -> None:
        self._store, self._gateway, self._bucket = store, gateway, bucket
        self._acknowledged: dict[str, int] = {}
        self._waiting: dict[str, Delivery] = {}

    def look(self) -> None:
        for found in self._new():
            delivery = self._waiting.setdefault(found.path, Delivery(found.generation))
            if time.monotonic() >= delivery.due:
                self._deliver(found, delivery)

    def _new(self) -> Iterator[StoredObject]:
        for found in self._store.list(INCOMING):
            waiting = self._waiting.get(found.path)
            if waiting and waiting.generation != found.generation:
                del self._waiting[found.path]
            if (
                self._acknowledged.get(found.path) != found.generation
                and time.time() - found.updated.timestamp() > SETTLED
            ):
                yield found

    def _deliver(self, found: StoredObject, delivery: Delivery) -> None:
        if 200 <= post(f"{self._gateway}/", *to_binary(self._event(found))) < 300:
            self._acknowledged[found.path] = found.generation
            del self._waiting[found.path]
            return
        delivery.due = time.monotonic() + delivery.pause
        delivery.pause = min(LONGEST_PAUSE, delivery.pause * 2)

    def _event(self, found: StoredObject) -> CloudEvent:
        source = f"//storage.googleapis.com/projects/_/buckets/{self._bucket}"
        attributes = {"type": FINALIZED, "source": source, "subject": f"objects/{found.path}", "id": str(uuid4())}
        size, moment = str(found.size), found.updated.isoformat()
        data = {"bucket": self._bucket, "name": found.path, "generation": str(found.generation), "size": size}
        return CloudEvent(attributes, {**data, "timeCreated": moment})


def post(url: str, headers: dict[str, str], data: bytes = b"") -> int:
    """The status; 599 where nobody answers."""
    request = urllib.request.Request(url, data, headers, method="POST")  # noqa: S310 - our own gateway
    try:
        with urllib.request.urlopen(request, timeout=600) as answered:  # noqa: S310
            return int(answered.status)
    except urllib.error.HTTPError as error:
        log.warning("%s answered %d", url, error.code)
        return error.code
    except OSError:
        log.warning("%s does not answer", url, exc_info=True)
        return 599


def start(store: ObjectStore, gateway: str, bucket: str, reindex_every: int) -> None:
    """Two threads that end with the process: the bucket's events and, unless 0, the schedule in seconds."""
    events = Bucket(store, gateway, bucket)
    threading.Thread(target=_watch, args=(events,), name="bucket", daemon=True).start()
    if reindex_every:
        threading.Thread(target=_schedule, args=(gateway, reindex_every), name="schedule", daemon=True).start()


def _watch(events: Bucket) -> None:
    while True:
        time.sleep(LOOK_EVERY)
        try:
            events.look()
        except LookalikeError:
            log.warning("The bucket could not be listed", exc_info=True)


def _schedule(gateway: str, every: int) -> None:
    while True:
        time.sleep(every)
        post(f"{gateway}/reindex", {"Content-Type": "application/json"}, b"{}")

"""Emulate the cloud around the functions: storage events for photos in `incoming/`, and the reindex schedule."""

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
from lookalike.domain.paths import INCOMING_PREFIX
from lookalike.domain.ports import ObjectStore
from lookalike.http.handlers.events import FINALIZED

log = logging.getLogger("lookalike.platform")
POLL_SECONDS = 1.0
"""Seconds between two listings of the bucket."""
MIN_UNCHANGED_SECONDS = 1.0
"""Seconds since a file's last change before its event is sent: it may still be being copied."""
INITIAL_BACKOFF, MAX_BACKOFF = 10.0, 600.0
"""Seconds before an event that was not acknowledged is delivered again; doubled each time, as Eventarc does."""


@dataclass
class PendingDelivery:
    """An event that was not acknowledged yet. `due` is a `time.monotonic()` moment."""

    generation: int
    backoff: float = INITIAL_BACKOFF
    due: float = 0.0


class BucketEvents:
    """Sends an event to the gateway for each new version of an object under `incoming/`, until it is acknowledged."""

    def __init__(self, store: ObjectStore, gateway: str, bucket: str) -> None:
        self._store, self._gateway, self._bucket = store, gateway, bucket
        self._acknowledged: dict[str, int] = {}
        self._pending: dict[str, PendingDelivery] = {}

    def send_new_events(self) -> None:
        """List the bucket once and deliver every event that is due."""
        for stored in self._unacknowledged():
            delivery = self._pending.setdefault(stored.path, PendingDelivery(stored.generation))
            if time.monotonic() >= delivery.due:
                self._deliver(stored, delivery)

    def _unacknowledged(self) -> Iterator[StoredObject]:
        for stored in self._store.list(INCOMING_PREFIX):
            pending = self._pending.get(stored.path)
            if pending and pending.generation != stored.generation:
                del self._pending[stored.path]
            if (
                self._acknowledged.get(stored.path) != stored.generation
                and time.time() - stored.updated.timestamp() > MIN_UNCHANGED_SECONDS
            ):
                yield stored

    def _deliver(self, stored: StoredObject, delivery: PendingDelivery) -> None:
        if 200 <= post(f"{self._gateway}/", *to_binary(self._create_event(stored))) < 300:
            self._acknowledged[stored.path] = stored.generation
            del self._pending[stored.path]
            return
        delivery.due = time.monotonic() + delivery.backoff
        delivery.backoff = min(MAX_BACKOFF, delivery.backoff * 2)

    def _create_event(self, stored: StoredObject) -> CloudEvent:
        source = f"//storage.googleapis.com/projects/_/buckets/{self._bucket}"
        attributes = {"type": FINALIZED, "source": source, "subject": f"objects/{stored.path}", "id": str(uuid4())}
        size, moment = str(stored.size), stored.updated.isoformat()
        data = {"bucket": self._bucket, "name": stored.path, "generation": str(stored.generation), "size": size}
        return CloudEvent(attributes, {**data, "timeCreated": moment})


def post(url: str, headers: dict[str, str], data: bytes = b"") -> int:
    """Send a POST request and return the status; 599 if there is no response."""
    request = urllib.request.Request(url, data, headers, method="POST")  # noqa: S310 - the gateway of this machine
    try:
        with urllib.request.urlopen(request, timeout=600) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        log.warning("Request failed", extra={"url": url, "status": error.code})
        return error.code
    except OSError:
        log.warning("Request got no response", extra={"url": url}, exc_info=True)
        return 599


def start_cloud_emulation(store: ObjectStore, gateway: str, bucket: str, reindex_every: int) -> None:
    """Start daemon threads for the bucket's events and, unless `reindex_every` (seconds) is 0, for the schedule."""
    events = BucketEvents(store, gateway, bucket)
    threading.Thread(target=_watch, args=(events,), name="bucket", daemon=True).start()
    if reindex_every:
        threading.Thread(target=_schedule, args=(gateway, reindex_every), name="schedule", daemon=True).start()


def _watch(events: BucketEvents) -> None:
    while True:
        time.sleep(POLL_SECONDS)
        try:
            events.send_new_events()
        except LookalikeError:
            log.warning("The bucket could not be listed", exc_info=True)


def _schedule(gateway: str, every: int) -> None:
    while True:
        time.sleep(every)
        post(f"{gateway}/reindex", {"Content-Type": "application/json"}, b"{}")

"""Notifications: tells the webhook, if there is one, that long work is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from lookalike.domain.cancel import CancelToken
from lookalike.domain.ports import Clock
from lookalike.domain.ports.webhooks import Webhooks
from lookalike.domain.webhook import Event

INGEST_COMPLETED = "ingest.completed"
MAX_FAILURES = 20
"""Failures that an event lists. The specification of webhooks recommends payloads below 20 kB."""
MAX_TEXT = 300
"""Characters of a listed name or reason."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Sends events. Without `webhooks`, does nothing."""

    webhooks: Webhooks | None
    clock: Clock

    def bulk_ingest_done(
        self, source: str, counts: Mapping[str, object], failed: Mapping[str, str], cancel: CancelToken
    ) -> bool:
        """Tell that all photos of a source were processed. Returns whether a receiver accepted the event.

        `failed` maps names of photos to reasons; the event counts them all and lists the first.
        """
        return self.done(INGEST_COMPLETED, {"source": source, **counts}, failed, cancel)

    def done(self, event_type: str, data: Mapping[str, object], failed: Mapping[str, str], cancel: CancelToken) -> bool:
        """Tell that work with the failures `failed` is done. Never raises; failures to send are logged."""
        if self.webhooks is None:
            return False
        listed = [
            {"name": name[:MAX_TEXT], "reason": reason[:MAX_TEXT]}
            for name, reason in islice(failed.items(), MAX_FAILURES)
        ]
        event = Event(event_type, self.clock(), {**data, "failed": len(failed), "failures": listed})
        return self.webhooks.send(event, cancel)

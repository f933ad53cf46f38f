"""Port of the webhook that is told what has happened."""

from typing import Protocol

from lookalike.domain.cancel import CancelToken
from lookalike.domain.webhook import Event


class Webhooks(Protocol):
    """Sends events to a receiver. Safe to use from several threads."""

    def send(self, event: Event, cancel: CancelToken) -> bool:
        """Send an event, with retries, and return whether the receiver accepted it.

        Never raises: a receiver that is not reachable must not fail the work that it is told of. Failures are logged.
        """
        ...

"""A webhook that keeps its events."""

from dataclasses import dataclass, field

from lookalike.domain.cancel import CancelToken
from lookalike.domain.webhook import Event


@dataclass
class FakeWebhooks:
    """Fake of the port `Webhooks`. `is_reachable`: whether events are accepted."""

    is_reachable: bool = True
    events: list[Event] = field(default_factory=list)

    def send(self, event: Event, cancel: CancelToken) -> bool:
        """Keep an event."""
        if self.is_reachable and not cancel.is_cancelled:
            self.events.append(event)
            return True
        return False

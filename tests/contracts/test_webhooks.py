"""Contract of the port `Webhooks`: the fake, and HTTP with a local receiver."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from lookalike.adapters.checked_http import RetryPolicy
from lookalike.adapters.webhooks import HttpWebhooks
from lookalike.domain.cancel import CancelToken
from lookalike.domain.ports.webhooks import Webhooks
from lookalike.domain.web_address import parse_web_address
from lookalike.domain.webhook import Event
from tests.adapters.web_harness import USER_AGENT, address, client_of
from tests.emulators.web_server import web_server
from tests.fakes.webhooks import FakeWebhooks


@dataclass(frozen=True)
class World:
    """A webhook, the payloads that its receiver has accepted, and a function that makes it refuse."""

    webhooks: Webhooks
    accepted: Callable[[], list[bytes]]
    refuse: Callable[[], None]


@pytest.fixture(params=["fake", "http"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        fake = FakeWebhooks()
        yield World(fake, lambda: [one.payload() for one in fake.events], lambda: setattr(fake, "is_reachable", False))
        return
    with web_server() as server:
        server.responses["/hook"] = lambda handler: handler.reply(204)
        target = parse_web_address(address(server, "/hook"))
        hook = HttpWebhooks(client_of(server), target, (bytes(32),), USER_AGENT, RetryPolicy(2, 0.01, 1))
        yield World(hook, lambda: [one.body for one in server.received], server.responses.clear)


def test_event_is_sent(world: World) -> None:
    event = Event("ingest.completed", datetime.now(UTC), {"stored": 3})
    assert world.webhooks.send(event, CancelToken()) is True
    assert world.accepted() == [event.payload()]


def test_failure_and_cancellation_are_not_raised(world: World) -> None:
    event = Event("ingest.completed", datetime.now(UTC), {})
    token = CancelToken()
    token.cancel()
    assert world.webhooks.send(event, token) is False
    world.refuse()
    assert world.webhooks.send(event, CancelToken()) is False

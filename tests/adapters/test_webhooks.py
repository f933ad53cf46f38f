"""Webhooks sent to a local receiver: signatures, retries, and failures that are only logged."""

import logging
import time

import pytest

from lookalike.adapters.checked_http import RetryPolicy
from lookalike.adapters.webhooks import HttpWebhooks
from lookalike.bootstrap.index import utc_now
from lookalike.domain.cancel import CancelToken
from lookalike.domain.web_address import parse_web_address
from lookalike.domain.webhook import Event, sign
from tests.adapters.web_harness import HOST, USER_AGENT, FakeResolver, address, client_of, in_turn, reply
from tests.emulators.web_server import WebServer

KEY = b"k" * 32


def webhook_of(server: WebServer, resolver: FakeResolver | None = None, allowed: str | None = None) -> HttpWebhooks:
    client = client_of(server, resolver, allowed)
    target = parse_web_address(address(server, "/hook?token=secret"))
    return HttpWebhooks(client, target, (KEY,), USER_AGENT, RetryPolicy(3, 0.02, 3))


def send(webhook: HttpWebhooks) -> tuple[bool, Event]:
    event = Event("ingest.completed", utc_now(), {"stored": 3})
    return webhook.send(event, CancelToken()), event


def test_event_is_posted_with_a_signature(server: WebServer) -> None:
    server.responses["/hook"] = reply(200, b"thanks")
    is_sent, event = send(webhook_of(server))
    (request,) = server.received
    timestamp = int(request.headers["webhook-timestamp"])
    assert is_sent and abs(time.time() - timestamp) < 5
    assert request.headers["webhook-signature"] == sign(KEY, event.id, timestamp, request.body)
    assert (request.method, request.body, request.path) == ("POST", event.payload(), "/hook?token=secret")
    assert request.headers["content-type"] == "application/json" and request.headers["user-agent"] == USER_AGENT


def test_each_attempt_has_its_own_time_and_signature(server: WebServer) -> None:
    server.responses["/hook"] = in_turn(reply(503, Retry_After="1"), reply(204, b""))
    is_sent, event = send(webhook_of(server))
    first, second = [request.headers for request in server.received]
    assert is_sent and first["webhook-id"] == second["webhook-id"] == event.id
    assert first["webhook-timestamp"] < second["webhook-timestamp"]
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize(
    ("status", "attempts", "reason"),
    [(500, 3, "after 3 attempts"), (404, 1, "status 404"), (410, 1, "remove WEBHOOK_URL"), (302, 1, "status 302")],
)
def test_failure_is_logged_and_not_raised(
    server: WebServer, caplog: pytest.LogCaptureFixture, status: int, attempts: int, reason: str
) -> None:
    server.responses["/hook"] = reply(status, b"", Location="http://other.example/")
    with caplog.at_level(logging.ERROR, "lookalike.webhooks"):
        is_sent, event = send(webhook_of(server))
    assert not is_sent and len(server.received) == attempts
    (record,) = caplog.records
    logged = vars(record)
    assert reason in logged["reason"] and logged["id"] == event.id and "secret" not in logged["reason"]


def test_receiver_with_a_private_address_is_refused(server: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    webhook = webhook_of(server, FakeResolver(["10.0.0.1"]), f"{HOST}:{server.server_port}")
    assert send(webhook)[0] is False and "leads to 10.0.0.1" in vars(caplog.records[0])["reason"]


def test_unexpected_errors_are_logged_and_not_raised(server: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    event = Event("ingest.completed", utc_now(), {"wrong": object()})
    assert webhook_of(server).send(event, CancelToken()) is False
    assert caplog.records[0].exc_info

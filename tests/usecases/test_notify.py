"""Notifications of work that is done."""

from datetime import UTC, datetime

from lookalike.domain.cancel import CancelToken
from lookalike.usecases.notify import MAX_FAILURES, MAX_TEXT, Notify
from tests.fakes.webhooks import FakeWebhooks

NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)


def test_event_has_the_counts_and_the_first_failures() -> None:
    webhooks = FakeWebhooks()
    failed = {f"{number}.jpg": "damaged" for number in range(100)}
    notify = Notify(webhooks, lambda: NOW)
    assert notify.bulk_ingest_done("photos", {"stored": 7}, failed, CancelToken()) is True
    (event,) = webhooks.events
    assert (event.type, event.timestamp) == ("ingest.completed", NOW)
    listed = event.data["failures"]
    assert isinstance(listed, list) and listed[0] == {"name": "0.jpg", "reason": "damaged"}
    assert len(listed) == MAX_FAILURES and event.data["failed"] == 100
    assert (event.data["source"], event.data["stored"]) == ("photos", 7)


def test_events_stay_small() -> None:
    webhooks = FakeWebhooks()
    failed = {str(number) * 1000: "long" * 1000 for number in range(100)}
    Notify(webhooks, lambda: NOW).bulk_ingest_done("photos", {}, failed, CancelToken())
    assert len(webhooks.events[0].payload()) < 2.5 * MAX_FAILURES * MAX_TEXT < 20_000


def test_nothing_happens_without_a_webhook() -> None:
    assert Notify(None, lambda: NOW).bulk_ingest_done("photos", {}, {}, CancelToken()) is False

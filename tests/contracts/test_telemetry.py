"""Contract of the port `Telemetry`, checked on OpenTelemetry and on the fake."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from lookalike.adapters.telemetry import OtlpTelemetry
from lookalike.domain.ports import Telemetry, TraceParent
from tests.emulators.otlp_receiver import otlp_receiver
from tests.fakes.telemetry import FakeTelemetry, make_record


@dataclass
class World:
    """Telemetry, and how many records it has sent."""

    telemetry: Telemetry
    count_sent: Callable[[], int]


@pytest.fixture(params=["fake", "otlp"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    if request.param == "fake":
        fake = FakeTelemetry()
        yield World(fake, lambda: len(fake.records))
        return
    with otlp_receiver() as receiver:
        for name, value in receiver.environment.items():
            monkeypatch.setenv(name, value)
        opened = OtlpTelemetry("shop", "1", (), has_traces=True, has_metrics=True)
        yield World(opened, lambda: len({span.trace_id for span in receiver.spans}))
        opened.shut_down()


@pytest.fixture
def telemetry(world: World) -> Telemetry:
    return world.telemetry


def test_request_without_parent_begins_a_trace(telemetry: Telemetry) -> None:
    first, second = telemetry.record(make_record()), telemetry.record(make_record())
    assert len(first) == len(second) == 32 and int(first, 16) != int(second, 16)


def test_request_with_parent_belongs_to_its_trace(telemetry: Telemetry) -> None:
    parent = TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
    assert telemetry.record(make_record(parent=parent)) == parent.trace_id


def test_shutdown_sends_what_is_left_and_later_records_are_ignored(world: World) -> None:
    world.telemetry.record(make_record())
    world.telemetry.shut_down()
    assert world.count_sent() == 1
    world.telemetry.record(make_record())
    world.telemetry.shut_down()
    assert world.count_sent() == 1

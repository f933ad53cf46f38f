"""Contract of the port `Telemetry`, checked on OpenTelemetry and on the fake."""

from collections.abc import Iterator

import pytest

from lookalike.adapters.telemetry import OtlpTelemetry
from lookalike.domain.ports import Telemetry, TraceParent
from tests.emulators.otlp_receiver import otlp_receiver
from tests.fakes.telemetry import FakeTelemetry, make_record


@pytest.fixture(params=["fake", "otlp"])
def telemetry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telemetry]:
    if request.param == "fake":
        yield FakeTelemetry()
        return
    with otlp_receiver() as receiver:
        for name, value in receiver.environment.items():
            monkeypatch.setenv(name, value)
        opened = OtlpTelemetry("shop", "1", (), has_traces=True, has_metrics=True)
        yield opened
        opened.shut_down()


def test_request_without_parent_begins_a_trace(telemetry: Telemetry) -> None:
    first, second = telemetry.record(make_record()), telemetry.record(make_record())
    assert len(first) == len(second) == 32 and int(first, 16) != int(second, 16)


def test_request_with_parent_belongs_to_its_trace(telemetry: Telemetry) -> None:
    parent = TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
    assert telemetry.record(make_record(parent=parent)) == parent.trace_id


def test_calls_after_the_shutdown_do_nothing(telemetry: Telemetry) -> None:
    telemetry.shut_down()
    telemetry.record(make_record())
    telemetry.shut_down()

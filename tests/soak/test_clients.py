"""Clients draw the right conclusions from responses and lost connections."""

import urllib.error
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.server import HttpResponse, Server
from tests.soak.clients import Client, Inventory, StoredPhoto, Workload
from tests.soak.operations import Kind, Outcome
from tests.soak.photos import PhotoPool, SoakPhoto

OK = '{"success": true, "data": {"segments": ["a_0", "a_1"]}}'
NOT_FOUND = '{"success": false, "error": {"code": "not_found"}}'
CANCELLED = '{"success": false, "error": {"code": "cancelled"}}'
LOST, DOWN = ConnectionResetError(), urllib.error.URLError(ConnectionRefusedError())
NO_VECTORS = np.empty((0, 2), np.float32)
PHOTO = SoakPhoto(0, b"photo", (0, 1), (0,))


class ScriptedServer(Server):
    """Responds to each request with the next line of a script, and stops the client at its end."""

    def __init__(self, script: Sequence[str | Exception]) -> None:
        super().__init__(Path())
        self.script, self.paths = list(script), list[str]()
        self.workload = Workload(self, {}, PhotoPool([PHOTO], [b""], NO_VECTORS, NO_VECTORS), rebuilds_end=0)

    def request(
        self, method: str, path: str, fields: Any = None, headers: Mapping[str, str] | None = None
    ) -> HttpResponse:
        """Return or raise the next part of the script."""
        self.paths.append(path)
        step = self.script.pop(0)
        if not self.script:
            self.workload.stopping.set()
        if isinstance(step, Exception):
            raise step
        return HttpResponse(200, step.encode(), {})


def run_client(kind: Kind, script: Sequence[str | Exception], monkeypatch: pytest.MonkeyPatch) -> Workload:
    """Run a client that does only one kind of operation, first with one stored photo, to the end of the script."""
    monkeypatch.setattr("tests.soak.clients.WEIGHTS", {one: float(one is kind) for one in Kind})
    monkeypatch.setattr("tests.soak.clients.PAUSE", 0)
    monkeypatch.setattr("tests.soak.clients.RETRY_SHARE", 1)
    workload = ScriptedServer(script).workload
    workload.inventory = Inventory([StoredPhoto("a", PHOTO, ("a_0", "a_1"))])
    client = Client(0, workload, seed=3)
    client.run()
    assert client.error is None
    return workload


@pytest.mark.parametrize("last", [OK, NOT_FOUND])
def test_deletion_is_repeated_until_its_outcome_is_certain(last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = run_client(Kind.DELETE, [LOST, DOWN, last], monkeypatch)
    outcomes = [one.outcome for one in workload.recorder.operations]
    assert outcomes[:2] == [Outcome.UNKNOWN, Outcome.REFUSED] and len(outcomes) == 3
    assert len({one.names for one in workload.recorder.operations}) == 1


def test_photo_whose_deletion_stays_unknown_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(run_client(Kind.DELETE, [DOWN, LOST], monkeypatch).inventory) == 0


@pytest.mark.parametrize(("script", "stored"), [([OK], 2), ([LOST, OK], 2), ([CANCELLED], 1), ([LOST, CANCELLED], 1)])
def test_photo_is_used_only_if_its_upload_was_acknowledged(
    script: list[str | Exception], stored: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(run_client(Kind.UPLOAD, script, monkeypatch).inventory) == stored


def test_clients_cancel_only_running_jobs() -> None:
    workload = ScriptedServer([OK]).workload
    for kind in Kind:
        with workload.offer_for_cancellation(f"{kind}", kind):
            assert (f"{kind}" in workload.cancelable) is (kind not in (Kind.DELETE, Kind.CANCEL, Kind.REBUILD))
    assert not workload.cancelable

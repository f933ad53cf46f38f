"""Feedback over HTTP to a running server, and its evaluation by another process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.client import NotFound, Unauthenticated
from tests.conftest import jpeg
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

PHOTO, OTHER_PHOTO = jpeg(sample_photo(3)), jpeg(sample_photo(8))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("feedback")).start()
    running.client().upload(PHOTO, name="first")
    running.client().upload(OTHER_PHOTO, name="second")
    yield running
    assert running.stop() == 0


def evaluate_clicks(server: Server) -> str:
    server.run("evaluate", "--clicks")
    return Path(server.folder / "evaluate.log").read_text()


def test_chosen_results_are_kept_evaluated_and_erased(server: Server) -> None:
    admin = server.client()
    for name, rank in (("one", 0), ("two", 1)):
        found = admin.search(PHOTO, request_id=name).results[rank]
        # at once after the search: its record may not be written yet
        assert admin.choose(name, found.id) == admin.choose(name, found.id)
    shown = admin.get_search("two")
    assert [one.id for one in shown.chosen] == [shown.results[1].id]
    output = evaluate_clicks(server)
    assert "2 searches of 1 user with a chosen result" in output and "0.750 (" in output
    admin.delete_history()
    assert "No search has a chosen result yet" in evaluate_clicks(server)


def test_feedback_of_anonymous_callers_is_refused(server: Server) -> None:
    anonymous = server.client("")
    best = anonymous.search(PHOTO, request_id="anonymous").results[0]
    with pytest.raises(Unauthenticated):
        anonymous.choose("anonymous", best.id)
    with pytest.raises(NotFound, match="There is no search 'anonymous'"):
        server.client().choose("anonymous", best.id)

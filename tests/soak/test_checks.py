"""Each check of a soak test fails for what it is there to find."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.e2e.server import HttpResponse
from tests.soak import answers, flatness
from tests.soak.clients import interpret, listed_segments
from tests.soak.leftovers import differences, expected_names, expected_statuses
from tests.soak.operations import LOST, UNREACHABLE, Answer, Kind, Operation, Outcome, Recorder, read_answer
from tests.soak.photos import PhotoPool
from tests.soak.sampling import MEMORY, QUANTITIES, Sample

UPLOAD = Operation(Kind.UPLOAD, "u", 0, 1, Outcome.DONE, "ok", names=("a",), listed=("a",))
DELETION = Operation(Kind.DELETE, "d", 2, 3, Outcome.DONE, "ok", names=("a",), listed=("a",))
SEARCH = Operation(Kind.SEARCH, "s", 4, 5, Outcome.DONE, "ok", answer=Answer(0, {}, is_complete=True))
CANCEL = Operation(Kind.CANCEL, "c", 0, 1, Outcome.DONE, "ok", target="s")
POOL = PhotoPool([], [], np.empty((0, 2), np.float32), np.array([[0.9, 0.5]], np.float32))


def record(*operations: Operation) -> Recorder:
    """A record in which `a` and `b` are the garments of the pool."""
    return Recorder(list(operations), {"a": 0, "b": 1})


def found(*names: str, is_complete: bool = True, similarity: float = 0.9) -> Operation:
    """A search that found these garments."""
    return replace(SEARCH, answer=Answer(0, dict.fromkeys(names, similarity), is_complete))


@pytest.mark.parametrize(
    ("operations", "is_correct"),
    [
        ([UPLOAD, found("a")], True),
        ([UPLOAD, found()], False),
        ([UPLOAD, DELETION, found()], True),
        ([UPLOAD, DELETION, found("a")], False),
        ([replace(UPLOAD, outcome=Outcome.UNKNOWN, code=LOST), found()], True),
        ([replace(UPLOAD, outcome=Outcome.REFUSED, code="cancelled"), found("a")], False),
        ([UPLOAD, replace(DELETION, outcome=Outcome.REFUSED, code="not_found")], False),
        # `b` is less similar to the query than all that an answer had room for
        ([replace(UPLOAD, names=("b",)), found("x", is_complete=False, similarity=0.7)], False),
        ([UPLOAD, replace(UPLOAD, names=("b",)), found("a", is_complete=False)], True),
        ([UPLOAD, replace(UPLOAD, names=("b",)), found("a")], False),
    ],
)
def test_searches_are_compared_with_the_writes(operations: Sequence[Operation], is_correct: bool) -> None:
    assert (not answers.check_history(record(*operations), POOL).problems) is is_correct


def test_similarity_of_another_garment_is_a_problem() -> None:
    assert not answers.check_similarities(record(found("a")), POOL).problems
    for wrong in (found("b"), found("a", similarity=0.89), found("unknown")):
        assert len(answers.check_similarities(record(wrong), POOL).problems) == 1


def test_responses_must_list_the_garments_of_the_request() -> None:
    assert not answers.check_listed_garments([UPLOAD, DELETION, replace(DELETION, listed=())]).problems
    for wrong in (replace(UPLOAD, listed=("a", "b")), replace(UPLOAD, listed=()), replace(DELETION, listed=("b",))):
        assert answers.check_listed_garments([wrong]).problems


def test_cancelled_request_must_not_succeed() -> None:
    cancelled = replace(SEARCH, outcome=Outcome.REFUSED, code="cancelled")
    assert not answers.check_cancellations([CANCEL, cancelled]).problems
    assert not answers.check_cancellations([replace(CANCEL, outcome=Outcome.REFUSED, code="conflict"), SEARCH]).problems
    assert answers.check_cancellations([CANCEL, SEARCH]).problems


def test_undocumented_codes_are_problems() -> None:
    assert not answers.check_codes([UPLOAD, replace(UPLOAD, code="busy"), replace(UPLOAD, code=LOST)]).problems
    taken = replace(UPLOAD, kind=Kind.CONFLICT)
    for wrong in (replace(UPLOAD, code="internal"), replace(UPLOAD, code="no answer"), taken):
        assert answers.check_codes([wrong]).problems


def test_run_without_kills_or_without_a_kind_of_operation_proves_nothing() -> None:
    everything = [replace(UPLOAD, kind=kind) for kind in Kind]
    assert not answers.check_load(everything, [(1.0, "worker")]).problems
    assert answers.check_load(everything, []).problems == ("nothing was killed",)
    assert answers.check_load(everything[1:], [(1.0, "worker")]).problems == ("upload: none",)


def samples(
    seconds: int, megabytes: float = 500, growth: float = 0, threads: int = 30, files: int = 60
) -> list[Sample]:
    """One worker's samples; `growth` is in megabytes a second."""
    return [Sample(moment, 1, megabytes + growth * moment, threads, files) for moment in range(seconds)]


def failed_claims(of: Sequence[Sample]) -> list[str]:
    """Return the claims about the worker that the samples contradict."""
    return [check.claim for check in flatness.check_everything(of) if check.problems]


LEVEL = {quantity: f"A worker's {quantity} stay level" for quantity in QUANTITIES}


def test_growth_of_a_worker_is_a_problem() -> None:
    assert failed_claims(samples(300)) == failed_claims(samples(30)) == []
    assert failed_claims(samples(300, growth=0.5)) == [LEVEL[MEMORY]]
    assert failed_claims(samples(30, megabytes=100, growth=18)) == [LEVEL[MEMORY]]
    assert failed_claims(samples(30, megabytes=2000)) == ["A worker uses at most 700 MB"]
    more = [*samples(60)[:45], *samples(60, threads=40, files=80)[45:]]
    assert failed_claims(more) == [LEVEL["threads"], LEVEL["file handles"]]


def test_memory_may_grow_while_a_worker_warms_up() -> None:
    warming = [replace(sample, megabytes=min(4 * sample.time, 200) + 200) for sample in samples(300)]
    assert failed_claims(warming) == []


def test_run_without_a_long_life_proves_nothing() -> None:
    assert failed_claims(samples(10)) == list(LEVEL.values())


def test_index_is_compared_with_all_rows() -> None:
    rows = {number: 1 - number / 1000 for number in range(150)}
    best = dict(list(rows.items())[:100])
    assert list(differences("q", best, rows)) == []
    assert list(differences("q", dict(list(rows.items())[:99]), rows)) == ["q: 99 of 150 rows"]
    assert list(differences("q", dict(list(rows.items())[1:101]), rows)) == ["q: other rows are more similar"]
    assert list(differences("q", {**best, 0: best[1], 1: best[0]}, rows)) == ["q: wrong similarities"]
    assert list(differences("q", {**dict(list(rows.items())[1:100]), 999: 1.0}, rows)) == ["q: [999] have no rows"]


def test_expected_rows_follow_from_the_outcomes() -> None:
    lost_upload, lost_deletion = (replace(one, outcome=Outcome.UNKNOWN, code=LOST) for one in (UPLOAD, DELETION))
    assert expected_names(record(UPLOAD)) == ({"a"}, {"b"})
    assert expected_names(record(lost_upload)) == (set(), {"b"})
    assert expected_names(record(UPLOAD, DELETION)) == (set(), {"a", "b"})
    assert expected_names(record(UPLOAD, lost_deletion)) == (set(), {"b"})
    assert expected_names(record(replace(UPLOAD, outcome=Outcome.REFUSED, code="busy"))) == (set(), {"a", "b"})


def test_expected_job_rows_follow_from_the_responses() -> None:
    assert expected_statuses(UPLOAD) == {"completed"}
    assert expected_statuses(replace(SEARCH, has_chosen_id=False)) == {"completed", None}
    assert expected_statuses(replace(UPLOAD, outcome=Outcome.REFUSED, code="cancelled")) == {"cancelled"}
    assert expected_statuses(replace(UPLOAD, outcome=Outcome.REFUSED, code="busy")) == {"failed"}
    assert expected_statuses(replace(UPLOAD, outcome=Outcome.REFUSED, code=UNREACHABLE)) == {None}
    assert "processing" in expected_statuses(replace(UPLOAD, outcome=Outcome.UNKNOWN, code=LOST))


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code"),
    [
        (200, '{"success": true}', Outcome.DONE, "ok"),
        (202, '{"success": true, "data": null}', Outcome.DONE, "ok"),
        (200, '{"success": true, "data": {"counts": {"remaining": 2}}}', Outcome.UNKNOWN, "ok"),
        (200, '{"success": false, "error": {"code": "cancelled"}}', Outcome.REFUSED, "cancelled"),
        (429, '{"success": false, "error": {"code": "busy"}}', Outcome.REFUSED, "busy"),
        (503, '{"success": false, "error": {"code": "unavailable"}}', Outcome.UNKNOWN, "unavailable"),
        (504, '{"success": false, "error": {"code": "deadline_exceeded"}}', Outcome.REFUSED, "deadline_exceeded"),
    ],
)
def test_response_tells_whether_the_request_had_an_effect(status: int, body: str, outcome: Outcome, code: str) -> None:
    assert interpret(HttpResponse(status, body.encode(), {}))[:2] == (outcome, code)


def test_garments_are_read_from_the_responses() -> None:
    uploaded = {"data": {"segments": [{"splitted_image_id": "a_0"}, {"splitted_image_id": "a_1"}]}}
    assert listed_segments(uploaded) == listed_segments({"data": {"segments": ["a_0", "a_1"]}}) == ("a_0", "a_1")
    assert listed_segments({"data": None}) == ()
    body = {"results": [{"splitted_image_id": "a_0", "similarity": 0.5}], "index": {"rows": 101}}
    assert read_answer(3, body, 100) == Answer(3, {"a_0": 0.5}, is_complete=False)

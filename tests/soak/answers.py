"""Checks of the answers that clients got while the load ran."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.soak.check import Check
from tests.soak.clients import Workload
from tests.soak.history import find_violations
from tests.soak.operations import ALLOWED_CODES, SIMILARITY_TOLERANCE, Answer, Kind, Operation, Outcome, Recorder
from tests.soak.photos import PhotoPool


def check_everything(workload: Workload, load: Sequence[Operation], kills: Sequence[tuple[float, str]]) -> list[Check]:
    """Run all checks of this module. `load`: the operations before any check."""
    return [
        check_history(workload.recorder, workload.pool),
        check_similarities(workload.recorder, workload.pool),
        check_listed_garments(load),
        check_cancellations(load),
        check_codes(load),
        check_load(load, kills),
    ]


def check_history(recorder: Recorder, pool: PhotoPool) -> Check:
    """Each search fits some order of the writes that were under way."""
    writes, reads = recorder.writes(), recorder.reads(pool.similarities)
    unknown = sum(not write.is_acknowledged for write in writes)
    tested = f"{len(reads)} searches, {len(writes)} writes, {unknown} of them with an unknown outcome"
    return Check.of("Each search fits an order of the writes under way", tested, find_violations(writes, reads))


def check_similarities(recorder: Recorder, pool: PhotoPool) -> Check:
    """Each returned similarity is that of the query and of the garment with this name."""

    def wrong(answer: Answer) -> Iterator[str]:
        for name, similarity in answer.similarities.items():
            column = recorder.columns.get(name)
            expected = None if column is None else float(pool.similarities[answer.query, column])
            if expected is None or abs(similarity - expected) > SIMILARITY_TOLERANCE:
                yield f"query {answer.query} and {name}: {similarity:.5f} instead of {expected}"

    answers = [one.answer for one in recorder.operations if one.answer]
    tested = f"{sum(len(answer.similarities) for answer in answers)} matches"
    return Check.of("Similarities are those of the models", tested, (line for one in answers for line in wrong(one)))


def check_listed_garments(operations: Sequence[Operation]) -> Check:
    """A response to an upload or a deletion lists the garments that were to be stored or deleted."""
    kinds = (Kind.UPLOAD, Kind.REPEAT, Kind.DELETE)
    done = [one for one in operations if one.kind in kinds and one.outcome is Outcome.DONE]
    # A repeated deletion lists only what the first one left.
    wrong = [
        f"{one.kind} {one.request_id} of {one.names} lists {one.listed}"
        for one in done
        if not (set(one.listed) <= set(one.names) if one.kind is Kind.DELETE else one.listed == one.names)
    ]
    return Check.of("Uploads and deletions list the garments of their photo", f"{len(done)} responses", wrong)


def check_cancellations(operations: Sequence[Operation]) -> Check:
    """A request whose cancellation was accepted does not succeed."""
    targets = {one.request_id: one for one in operations}
    accepted = [one for one in operations if one.kind is Kind.CANCEL and one.outcome is Outcome.DONE]
    wrong = [
        f"{one.request_id} cancelled {one.target}, which succeeded"
        for one in accepted
        if targets[one.target].outcome is Outcome.DONE
    ]
    return Check.of("A cancelled request does not succeed", f"{len(accepted)} accepted cancellations", wrong)


def check_codes(operations: Sequence[Operation]) -> Check:
    """Every request got a response that is documented for it, or lost its connection."""
    unexpected = Counter((one.kind, one.code) for one in operations if one.code not in ALLOWED_CODES[one.kind])
    problems = [f"{kind}: {code} ({count} times)" for (kind, code), count in sorted(unexpected.items())]
    return Check.of("Requests end with a documented code or a lost connection", f"{len(operations)} requests", problems)


def check_load(operations: Sequence[Operation], kills: Sequence[tuple[float, str]]) -> Check:
    """Every kind of operation had its effect at least once, and something was killed. Else the checks prove nothing."""
    done = Counter(one.kind for one in operations if one.outcome is Outcome.DONE or one.code == "conflict")
    problems = [f"{kind}: none" for kind in Kind if not done[kind]]
    if not kills:
        problems.append("nothing was killed")
    tested = ", ".join(f"{kind}: {done[kind]}" for kind in Kind)
    return Check.of("The load had every kind of operation", f"{len(kills)} kills; {tested}", problems)

"""Checks after the load: what database, bucket, index and log contain when nothing runs any more."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, create_engine, func, select

from lookalike.adapters.catalog.tables import jobs, originals, search_hits
from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Segment, Vectors
from lookalike.domain.paths import INDEX_PREFIX
from lookalike.usecases.sweep import sweep
from tests.e2e.server import encode_base64
from tests.soak.check import Check
from tests.soak.clients import SEARCH_SIZE, Client, Workload
from tests.soak.deployment import Deployment
from tests.soak.operations import JOBS, UNREACHABLE, Kind, Operation, Outcome, Recorder
from tests.soak.photos import PhotoPool

TOLERANCE = 1e-5
"""Difference of two sums of the same float32 products in another order."""
POINTER_POLL = 1.2
"""Seconds until a server has noticed a new index version. It reads the pointer once a second."""
CHECKER = -1
"""Number of the client that searches for these checks."""
NOW = -5.0
"""Age for the sweep in seconds: everything that was written before this moment, whatever the clocks say."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The garments in the database."""

    ids: NDArray[np.int64]
    vectors: Vectors
    segments: Mapping[int, Segment]

    @property
    def names(self) -> set[str]:
        """Names of the garments."""
        return {segment.name for segment in self.segments.values()}

    @property
    def paths(self) -> set[str]:
        """Images and thumbnails that the rows refer to."""
        return {path for segment in self.segments.values() for path in (segment.path, segment.thumbnail) if path}


def read_rows(deployment: Deployment) -> Rows:
    """Read the rows and the vectors of the embedder in use."""
    services = deployment.services
    changes = services.catalog.changes(services.models.embedder, 0)
    return Rows(changes.row_ids, changes.vectors, services.catalog.segments(changes.row_ids.tolist()))


def check_everything(deployment: Deployment, workload: Workload) -> list[Check]:
    """Run all checks of this module, on the running server and after a restart. Searches become part of the history."""
    load, rows = list(workload.recorder.operations), read_rows(deployment)
    running = check_searches("The running server", deployment, rows, workload)
    status = deployment.server.stop()
    deployment.start()
    return [
        Check.of("The server stops cleanly", "SIGTERM after the load", [f"exit status {status}"] if status else []),
        check_rows(workload.recorder, rows, deployment),
        check_index(deployment, rows, workload.pool),
        running,
        check_searches("The restarted server", deployment, rows, workload),
        check_rebuilt_index(deployment, rows, workload),
        *check_objects(deployment, rows),
        check_job_rows(deployment, load),
        check_job_cleanup(deployment),
        check_log(deployment),
    ]


def check_rows(recorder: Recorder, rows: Rows, deployment: Deployment) -> Check:
    """All acknowledged uploads have their rows, and deleted and refused ones have none."""
    required, forbidden = expected_names(recorder)
    photos = set(select_column(deployment, select(originals.c.name)))
    hit_rows = set(select_column(deployment, select(search_hits.c.row_id).distinct()))
    problems = [
        *(f"{name} was acknowledged and has no row" for name in sorted(required - rows.names)),
        *(f"{name} was deleted or refused and has a row" for name in sorted(rows.names & forbidden)),
        *(f"{name} was never uploaded and has a row" for name in sorted(rows.names - set(recorder.columns))),
        *(f"photo {name} has no garments" for name in sorted(photos - {one.photo for one in rows.segments.values()})),
        *(f"the search history names the deleted row {one}" for one in sorted(hit_rows - set(rows.ids.tolist()))),
    ]
    tested = f"{len(required)} acknowledged, {len(forbidden)} deleted or refused garments, {len(rows.ids)} rows"
    return Check.of("Acknowledged uploads are in the database, deleted ones are not", tested, problems)


def expected_names(recorder: Recorder) -> tuple[set[str], set[str]]:
    """Return the garments that must be stored at the end, and the garments that must not."""
    uploaded, maybe_uploaded, deleted, maybe_deleted = set[str](), set[str](), set[str](), set[str]()
    for one in recorder.operations:
        is_known = one.outcome is Outcome.DONE
        if one.kind in (Kind.UPLOAD, Kind.REPEAT) and one.outcome is not Outcome.REFUSED:
            (uploaded if is_known else maybe_uploaded).update(one.names)
        elif one.kind is Kind.DELETE:
            (deleted if is_known or one.code == "not_found" else maybe_deleted).update(one.names)
    required = uploaded - deleted - maybe_deleted
    return required, set(recorder.columns) - (uploaded | maybe_uploaded) | deleted


def select_rows(deployment: Deployment, query: Select[Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    engine = create_engine(deployment.database_url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(query)]
    finally:
        engine.dispose()


def select_column(deployment: Deployment, query: Select[Any]) -> list[Any]:
    """Return the values of a query's only column."""
    return [value for (value,) in select_rows(deployment, query)]


def database_version(deployment: Deployment) -> str:
    """Return name and version of the database server."""
    (value,) = select_column(deployment, select(func.version()))
    return f"MariaDB {value}" if "MariaDB" in value else f"MySQL {value}"


def check_index(deployment: Deployment, rows: Rows, pool: PhotoPool) -> Check:
    """A search for all rows in a live index of this process returns what a comparison with every row finds."""
    found, info = deployment.services.index.search(pool.query_vectors, len(rows.ids) + 1, CancelToken())
    problems = row_count_problems(info.rows, rows)
    for number, (hits, similarities) in enumerate(zip(found, pool.query_vectors @ rows.vectors.T, strict=True)):
        expected = dict(zip(rows.ids.tolist(), similarities.tolist(), strict=True))
        problems += differences(f"query {number}", {hit.row_id: hit.similarity for hit in hits}, expected)
    tested = f"{len(pool.query_vectors)} queries, {len(rows.ids)} rows"
    return Check.of("Index and database are equal, by comparing every row", tested, problems)


def row_count_problems(count: int, rows: Rows) -> list[str]:
    """Compare the number of rows in an index with that in the database."""
    return [f"the index has {count} rows, the database {len(rows.ids)}"] if count != len(rows.ids) else []


def check_searches(subject: str, deployment: Deployment, rows: Rows, workload: Workload) -> Check:
    """Searches of the server return what a comparison with every row finds."""
    client, pool = Client(CHECKER, workload, 0), workload.pool
    problems = row_count_problems(search_index_info(deployment, workload)["rows"], rows)
    names = [rows.segments[row_id].name for row_id in rows.ids.tolist()]
    for number, similarities in enumerate(pool.query_vectors @ rows.vectors.T):
        answer = client.search(number).answer
        expected = dict(zip(names, similarities.tolist(), strict=True))
        problems += differences(f"query {number}", answer.similarities if answer else {}, expected)
    tested = f"{len(pool.queries)} queries, {len(rows.ids)} rows"
    return Check.of(f"{subject} finds what a comparison with every row finds", tested, problems)


def search_index_info(deployment: Deployment, workload: Workload) -> dict[str, Any]:
    """Search, and return what the response says about the index."""
    body = {"image_base64": encode_base64(workload.pool.queries[0]), "include": "none"}
    info: dict[str, Any] = deployment.server.request("POST", "/relay_image", body).json["index"]
    return info


def differences(label: str, found: Mapping[Any, float], expected: Mapping[Any, float]) -> Iterator[str]:
    """Yield how a search differs from the similarities of all rows. It must return all, or the `SEARCH_SIZE` highest."""
    best = sorted(expected.values(), reverse=True)[: len(found)]
    if len(found) < min(SEARCH_SIZE, len(expected)):
        yield f"{label}: {len(found)} of {len(expected)} rows"
    if unknown := found.keys() - expected.keys():
        yield f"{label}: {sorted(unknown)} have no rows"
    elif not np.allclose(sorted(found.values(), reverse=True), best, rtol=0, atol=TOLERANCE):
        yield f"{label}: other rows are more similar"
    elif not np.allclose([expected[key] for key in found], list(found.values()), rtol=0, atol=TOLERANCE):
        yield f"{label}: wrong similarities"


def check_rebuilt_index(deployment: Deployment, rows: Rows, workload: Workload) -> Check:
    """A new version contains all rows, and the server uses it."""
    server = deployment.server
    built = server.request("POST", "/reindex", {"force": True}, deployment.admin_headers).json
    time.sleep(POINTER_POLL)
    index = search_index_info(deployment, workload)
    expected = {"version": (built["data"] or {}).get("version"), "rows": len(rows.ids), "tail_rows": 0}
    problems = [f"{key}: {index[key]} instead of {value}" for key, value in expected.items() if index[key] != value]
    return Check.of("A new index version contains all rows and is used", f"{len(rows.ids)} rows", problems)


def check_objects(deployment: Deployment, rows: Rows) -> list[Check]:
    """Every row has its objects, and after a sweep every object has a row."""
    services = deployment.services
    photos = set(select_column(deployment, select(originals.c.path)))
    referenced = rows.paths | photos
    before = {stored.path for stored in services.store.list() if not stored.path.startswith(INDEX_PREFIX)}
    swept = sweep(services.store, services.catalog, older_than=NOW)
    services.versions.prune(1)
    after = {stored.path for stored in services.store.list()}
    current = services.versions.current()
    version_folder = f"{services.versions.pointer_path.rpartition('/')[0]}/{current.version if current else ''}/"
    kept = {path for path in after if path == services.versions.pointer_path or path.startswith(version_folder)}
    stray = after - kept - referenced
    return [
        Check.of(
            "Every row has its objects",
            f"{len(referenced)} objects",
            [f"{path} is missing" for path in sorted(referenced - before)]
            + [f"{path} was deleted by the sweep" for path in sorted((referenced & before) - after)],
        ),
        Check.of(
            "No stray objects after a sweep",
            f"{swept} of {len(before)} objects swept; {len(kept)} of the index kept",
            [f"{path} has no row" for path in sorted(stray)],
        ),
    ]


def check_job_rows(deployment: Deployment, load: Sequence[Operation]) -> Check:
    """The row of each request agrees with its response. Only rows of lost requests say that they still run."""
    statuses = dict(select_rows(deployment, select(jobs.c.id, jobs.c.status)))
    requests = [one for one in load if one.kind in JOBS and one.request_id]
    problems = [
        f"{one.kind} {one.request_id} ended with {one.code}, its row says {statuses.get(one.request_id)}"
        for one in requests
        if statuses.get(one.request_id) not in expected_statuses(one)
    ]
    return Check.of("Job rows agree with the responses", f"{len(requests)} requests, {len(statuses)} rows", problems)


def expected_statuses(one: Operation) -> set[str | None]:
    """Return what the row of a request may say; `None` if it may have no row."""
    if one.outcome is Outcome.UNKNOWN:
        return {"processing", "completed", "failed", "cancelled", None}
    if one.code == UNREACHABLE:
        return {None}
    expected = {"ok": "completed", "cancelled": "cancelled"}.get(one.code, "failed")
    # A killed process may lose the rows of searches that nobody could cancel.
    return {expected} if one.has_chosen_id else {expected, None}


def check_job_cleanup(deployment: Deployment) -> Check:
    """A clean-up ends the rows that a killed process left, and a second one deletes them."""
    server, running = deployment.server, select(jobs.c.id).where(jobs.c.status == "processing")
    stuck = len(select_column(deployment, running))
    problems = []
    for rest in (running, select(jobs.c.id)):
        for headers in (deployment.admin_headers, {}):
            server.request("POST", "/cleanup_requests", {"max_age_seconds": 0}, headers)
        problems += [f"request {one} is still there" for one in select_column(deployment, rest)]
    return Check.of("No job is stuck after a clean-up", f"{stuck} jobs of killed processes", problems)


def check_log(deployment: Deployment) -> Check:
    """The server logged no error. Lines of gunicorn about the killed workers are no JSON."""
    lines = list(json_lines(deployment.full_log()))
    errors = [line for line in lines if line.get("severity") in ("ERROR", "CRITICAL")]
    problems = [f"{line['message']} {line.get('exception', '')[-300:]}" for line in errors]
    return Check.of("The server logs no error", f"{len(lines)} lines", problems)


def json_lines(log: str) -> Iterator[dict[str, Any]]:
    """Yield the lines that are JSON objects. A killed process may have written a part of a line."""
    for line in log.splitlines():
        with suppress(ValueError):
            if line.startswith("{"):
                yield json.loads(line)

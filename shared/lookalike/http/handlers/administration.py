"""Handlers for administrators: corrections, state of index, models and jobs, and API keys."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import flask

from lookalike.bootstrap import Services
from lookalike.domain.api_keys import ApiKey, KeyRole
from lookalike.domain.job_statistics import JobCount, JobDurations
from lookalike.domain.model import Box, Job, JobStatus, Manifest
from lookalike.http.admin_schemas import AccountsRequest, NewKeyRequest, RecutRequest, RollbackRequest
from lookalike.http.handlers.responses import segment_response
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult
from lookalike.usecases.api_keys import KeyRequest
from lookalike.usecases.model_overview import EmbedderState

MAX_RUNNING_JOBS = 500


def recut_segment(services: Services, request: ApiRequest) -> HandlerResult:
    """Cut a garment out of its photo again, with another box.

    The garment is also embedded again, so that the next search compares with the new part of the photo. If the detector
    finds a garment in about that box, the cut-out has its outline. Needs the original of the photo.
    """
    body, key = request.parse_body(RecutRequest), request.path_parameters["id"]
    # before the job, so that unknown names leave no failed job
    services.segments.get_segment(key)
    with services.jobs.run_job("recut", request.caller, request.request_id) as job:
        stored = services.recut.recut(key, Box(*body.bounding_box), job, body.label)
    return {"success": True, "message": f"Cut out {stored.name} again", "data": segment_response(stored)}


def get_original(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the upright original of a photo.

    `id` is the photo's name. Boxes of its garments are in pixels of this image.
    """
    image = services.segments.load_original(request.path_parameters["id"])
    return flask.Response(image, mimetype="image/jpeg", headers={"Cache-Control": "private, max-age=300"})


def get_index(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the state of the index, and its versions.

    `tail_rows` is the number of garments added or changed since the version was built. They are found as well.
    """
    state = services.index_overview.read()
    current = state.pointer.version if state.pointer else None
    versions = [_version_response(manifest, current) for manifest in reversed(state.versions)]
    recall = next((version["recall"] for version in versions if version["is_current"]), None)
    data = {
        **asdict(state.info),
        "without_vector": services.missing_vectors.count(state.info.rows),
        "embedder": services.index_overview.source.embedder,
        "is_pinned": bool(state.pointer and state.pointer.pinned),
        "recall": recall,
        "rebuild": _rebuild_response(services.rebuild.pending()),
        "versions": versions,
    }
    return {"success": True, "data": data}


def rebuild_index(services: Services, request: ApiRequest) -> HandlerResult:
    """Build and publish a version of the index.

    In the cloud, the next call of the schedule does it: the response comes at once, and the request waits as a job of the
    kind `rebuild`, which can be canceled until it begins. It also ends the pin of a rollback.
    """
    manifest = services.rebuild.request(request.caller, request.request_id)
    message = "The index is rebuilt with the next call of the schedule"
    if manifest:
        message = f"Published index version {manifest.version}"
    data = {"id": request.request_id, "version": manifest.version if manifest else None}
    return {"success": True, "message": message, "data": data}, 202


def roll_back_index(services: Services, request: ApiRequest) -> HandlerResult:
    """Return to an older index version.

    Searches also find garments that were added after it. Scheduled builds do not replace it; a rebuild does.
    """
    manifest = services.index_overview.roll_back(request.parse_body(RollbackRequest).version)
    message = f"{manifest.version} is current now, with {manifest.rows} garments"
    return {"success": True, "message": message, "data": _version_response(manifest, manifest.version)}


def get_models(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the models in use, and what a change to others would need."""
    garments, (current, *others) = services.model_overview.read()
    settings = services.settings
    data = {
        "detector": settings.detector or settings.models,
        "garments": garments,
        "current": _embedder_response(current),
        "others": [_embedder_response(state) for state in others],
    }
    return {"success": True, "data": data}


def list_running_jobs(services: Services, request: ApiRequest) -> HandlerResult:
    """List the requests of all users that run now, newest first.

    Searches that take less than 50 ms are not listed. Cancel a request with `/cancel_request/{id}`.
    """
    jobs = services.jobs.list_running(MAX_RUNNING_JOBS)
    now = datetime.now(UTC)
    return {"success": True, "message": f"{len(jobs)} requests", "data": [_job_response(job, now) for job in jobs]}


def get_statistics(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the figures of the last 24 hours: number of requests, durations and reasons of failures, by kind, and by hour."""
    figures = services.job_figures.last_day()
    data = {
        "since": figures.since.isoformat(),
        "until": figures.until.isoformat(),
        "kinds": _kinds_response(figures.counts, figures.durations),
        "errors": [asdict(one) for one in figures.errors],
        "hours": _hours_response(figures.counts),
    }
    return {"success": True, "data": data}


def list_accounts(services: Services, request: ApiRequest) -> HandlerResult:
    """List the accounts of all users.

    With Supabase, the server needs the service key for this, which functions should not have.
    """
    body = request.parse_body(AccountsRequest)
    page = services.accounts.list_accounts(int(body.cursor), body.limit)
    data = [
        {
            "id": one.id,
            "email": one.email,
            "role": one.role,
            "created": one.created.isoformat() if one.created else None,
            "last_sign_in": one.last_sign_in.isoformat() if one.last_sign_in else None,
        }
        for one in page.accounts
    ]
    message = f"{len(data)} accounts"
    return {"success": True, "message": message, "data": data, "cursor": page.next_page and str(page.next_page)}


def list_keys(services: Services, request: ApiRequest) -> HandlerResult:
    """List all API keys, newest first."""
    return {"success": True, "data": [_key_response(key) for key in services.api_keys.list_keys()]}


def create_key(services: Services, request: ApiRequest) -> HandlerResult:
    """Create an API key.

    The response has the key in `data.key`. Only its checksum is stored, so it cannot be shown again. Keys of the role
    `admin` are created by signed-in administrators only, not with another key.
    """
    body = request.parse_body(NewKeyRequest)
    lifetime = timedelta(days=body.valid_days) if body.valid_days else None
    conditions = body.model_dump(mode="json", exclude_none=True)["filter"]
    limits = (body.requests_per_minute, body.requests_per_address)
    wanted = KeyRequest(KeyRole(body.role), body.name, conditions, *limits, body.origins, lifetime)
    key, text = services.api_keys.create(wanted, request.caller)
    return {"success": True, "message": f"Created the key {key.id}", "data": _key_response(key) | {"key": text}}, 201


def revoke_key(services: Services, request: ApiRequest) -> HandlerResult:
    """Revoke an API key.

    The next request with it is refused. It stays in the list.
    """
    key = services.api_keys.revoke(request.path_parameters["id"])
    return {"success": True, "message": f"Revoked the key {key.id}", "data": _key_response(key)}


def _rebuild_response(jobs: Sequence[Job]) -> dict[str, Any] | None:
    if not jobs:
        return None
    first = jobs[-1]
    return {"id": first.id, "stage": first.stage, "requested": first.created.isoformat()}


def _version_response(manifest: Manifest, current: str | None) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "built_at": manifest.built_at,
        "build_seconds": manifest.build_seconds,
        "rows": manifest.rows,
        "recall": (manifest.approximate or {}).get("recall"),
        "is_current": manifest.version == current,
    }


def _embedder_response(state: EmbedderState) -> dict[str, Any]:
    choice = state.choice
    option = f" --embedder {choice.embedder}" if choice.embedder else ""
    return {
        **asdict(choice),
        "garments_without_vector": state.missing,
        "command": f"lookalike reembed --models {choice.models}{option}",
    }


def _job_response(job: Job, now: datetime) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "stage": job.stage,
        "owner": job.owner,
        "address": job.address,
        "created": job.created.isoformat(),
        "age": round((now - job.created).total_seconds(), 3),
        "cancel_requested": job.cancel_requested,
    }


def _kinds_response(counts: Iterable[JobCount], durations: Iterable[JobDurations]) -> list[dict[str, Any]]:
    totals: dict[str, dict[JobStatus, int]] = defaultdict(lambda: dict.fromkeys(JobStatus, 0))
    for group in counts:
        totals[group.kind][group.status] += group.count
    by_kind = {one.kind: one for one in durations}

    def seconds(kind: str) -> dict[str, float | None]:
        found = by_kind.get(kind)
        values = (found.median, found.p95) if found else (None, None)
        rounded = (None if value is None else round(value, 3) for value in values)
        return dict(zip(("median_seconds", "p95_seconds"), rounded, strict=True))

    return [{"kind": kind, **_by_name(statuses), **seconds(kind)} for kind, statuses in sorted(totals.items())]


def _hours_response(counts: Iterable[JobCount]) -> list[dict[str, Any]]:
    groups: dict[tuple[datetime, str], dict[JobStatus, int]] = defaultdict(lambda: dict.fromkeys(JobStatus, 0))
    for group in counts:
        groups[group.hour, group.kind][group.status] += group.count
    return [
        {"hour": hour.isoformat(), "kind": kind, **_by_name(statuses)}
        for (hour, kind), statuses in sorted(groups.items())
    ]


def _by_name(statuses: dict[JobStatus, int]) -> dict[str, int]:
    return {str(status): count for status, count in statuses.items()}


def _key_response(key: ApiKey) -> dict[str, Any]:
    times = {"created": key.created, "expires": key.expires, "revoked": key.revoked, "last_used": key.last_used}
    return {
        "id": key.id,
        "name": key.name,
        "role": str(key.role),
        "filter": json.loads(key.filter_json),
        "requests_per_minute": key.requests_per_minute,
        "requests_per_address": key.requests_per_address,
        "origins": list(key.origins),
        **{name: moment.isoformat() if moment else None for name, moment in times.items()},
    }

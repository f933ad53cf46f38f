"""One function a route: what was asked -> a use case -> what is answered."""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import flask

from lookalike.bootstrap import Services
from lookalike.domain.model import Box, Detection, ProductDetails, Segment
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import (
    CleanupRequest,
    DetailsRequest,
    HandlerResult,
    NewSegmentRequest,
    ProductDetailsRequest,
    ReindexRequest,
    RelayRequest,
    SplitRequest,
    UpdateSegmentRequest,
    UploadRequest,
    UploadSegmentRequest,
)
from lookalike.usecases.explanation import Explanation
from lookalike.usecases.jobs import job_id
from lookalike.usecases.search import Match, MatchGroup, SearchRequest
from lookalike.usecases.sweep import sweep
from lookalike.usecases.upload import SegmentAttributes

DAY = 86_400


def upload_image(services: Services, asked: ApiRequest) -> HandlerResult:
    """Store the garments of a photo."""
    body = asked.body(UploadRequest)
    data, name = asked.image(body), body.image_name or job_id(None)
    with services.jobs.running("upload", asked.caller, asked.request_id) as work:
        stored = services.upload.photo(data, name, asked.caller.user, body.force_process, work)
    if not stored.segments:
        return {"success": False, "message": "No clothing was found; nothing is stored"}
    count = len(stored.segments)
    return {
        "success": True,
        "message": f"Successfully processed and uploaded image, detected {count} clothing segment{'s' * (count != 1)}",
        "data": {"original_image_id": stored.photo, "segments": [segment_answer(one) for one in stored.segments]},
    }


def upload_single_image(services: Services, asked: ApiRequest) -> HandlerResult:
    """Store a garment that was cut out elsewhere."""
    body = asked.body(UploadSegmentRequest)
    data, number = asked.image(body), int(body.segment_id)
    with services.jobs.running("upload", asked.caller, asked.request_id) as work:
        stored = services.upload.segment(data, body.original_image_id, number, asked.caller.user, work)
    return {"success": True, "message": f"Stored {stored.name}", "data": segment_answer(stored)}


def split_image(services: Services, asked: ApiRequest) -> HandlerResult:
    """Cut out the garments of a photo; nothing is stored."""
    body = asked.body(SplitRequest)
    data = asked.image(body)
    with services.jobs.running("split", asked.caller, asked.request_id) as work:
        pieces = services.split.photo(data, body.force_process, work)
    size = {"width": pieces.width, "height": pieces.height}
    if not pieces.garments:
        return {"success": False, "message": "No clothing was found", **size, "segments": [], "data": {"segments": []}}
    segments = [
        {"segment_id": f"segment_{number}", "segment_base64": text(picture), **garment_answer(garment)}
        for number, (garment, picture) in enumerate(zip(pieces.garments, pieces.images, strict=True))
    ]
    message = f"Found {len(segments)} clothing segments"
    return {"success": True, "message": message, **size, "data": {"segments": segments}}


def image_split(services: Services, asked: ApiRequest) -> HandlerResult:
    """The same, for the client's other call, which reads the segments elsewhere."""
    answer = split_image(services, asked)
    assert isinstance(answer, dict)
    pieces = answer.pop("data")["segments"]
    return {**answer, "segments": [{"image_base64": one.pop("segment_base64"), **one} for one in pieces]}


def relay_image(services: Services, asked: ApiRequest) -> HandlerResult:
    """Find the stored garments that are most similar to those of a photo."""
    body = asked.body(RelayRequest)
    data, question = asked.image(body), question_of(body)
    with services.jobs.running("search", asked.caller, asked.request_id) as work:
        found = services.search.photo(data, question, work)
    if asked.caller.user is not None:
        services.history.remember(asked.caller.user, asked.request_id, remembered(body), found)
    groups = {"groups": [group_answer(group) for group in found.groups]} if body.segment else {}
    return {
        "success": True,
        "results": [match_answer(match) for match in found.best(body.num)],
        **groups,
        "width": found.width,
        "height": found.height,
        "index": asdict(found.index),
    }


def remembered(body: RelayRequest) -> dict[str, Any]:
    return body.model_dump(mode="json", include={"num", "segment", "min_similarity", "filter"}, exclude_defaults=True)


def question_of(body: RelayRequest) -> SearchRequest:
    chosen = body.model_dump(
        include={"num", "segment", "include", "min_similarity", "exclude_original", "collapse", "include_details"}
    )
    return SearchRequest(**chosen, filter=body.conditions())


def image_detail(services: Services, asked: ApiRequest) -> HandlerResult:
    """Product details of a garment, its own or else its photo's."""
    body = asked.body(DetailsRequest)
    return {"success": True, "message": asdict(services.segments.details(body.splitted_image_id))}


def put_detail(services: Services, asked: ApiRequest) -> HandlerResult:
    """Insert or replace the product details of a photo or a garment."""
    body = asked.body(ProductDetailsRequest)
    details = ProductDetails(asked.parts["id"], **body.model_dump(exclude={"request_id"}))
    services.segments.put_details([details])
    return {"success": True, "message": f"Stored the product details of {details.image_id}", "data": asdict(details)}


def get_segment(services: Services, asked: ApiRequest) -> HandlerResult:
    """A stored garment."""
    return {"success": True, "data": segment_answer(services.segments.segment(asked.parts["id"]))}


def segments_of_photo(services: Services, asked: ApiRequest) -> HandlerResult:
    """The stored garments of a photo."""
    found = services.segments.of_photo(asked.parts["id"])
    return {"success": True, "data": [segment_answer(one) for one in found]}


def describe_segment(services: Services, asked: ApiRequest) -> HandlerResult:
    """Change a garment's box, label or score."""
    changes = asked.body(UpdateSegmentRequest).model_dump(exclude_unset=True, exclude={"request_id"})
    if changes.get("bounding_box"):
        changes["bounding_box"] = Box(*changes["bounding_box"])
    changed = services.segments.describe(asked.parts["id"], changes)
    return {"success": True, "message": f"Changed {changed.name}", "data": segment_answer(changed)}


def add_segment(services: Services, asked: ApiRequest) -> HandlerResult:
    """Store one more garment of a photo that is stored."""
    body = asked.body(NewSegmentRequest)
    data, name = asked.image(body), body.original_image_id
    services.segments.of_photo(name)
    box = Box(*body.bounding_box) if body.bounding_box else None
    about = SegmentAttributes(box, body.label, body.score)
    with services.jobs.running("upload", asked.caller, asked.request_id) as work:
        stored = services.upload.segment(data, name, body.segment_id, asked.caller.user, work, about)
    return {"success": True, "message": f"Stored {stored.name}", "data": segment_answer(stored)}


def thumbnail(services: Services, asked: ApiRequest) -> HandlerResult:
    """A garment's picture, small."""
    picture = services.segments.thumbnail(asked.parts["id"])
    kind = "image/png" if picture.startswith(b"\x89PNG") else "image/jpeg"
    return flask.Response(picture, mimetype=kind, headers={"Cache-Control": "private, max-age=300"})


def cancel(services: Services, asked: ApiRequest) -> HandlerResult:
    """Stop a request that is running."""
    wanted = asked.parts["id"]
    services.jobs.cancel(wanted, asked.caller)
    return {"success": True, "status": "success", "message": f"Request {wanted} marked for cancellation"}


def request_status(services: Services, asked: ApiRequest) -> HandlerResult:
    """What became of a request."""
    job = services.jobs.status(asked.parts["id"], asked.caller)
    ended = job.finished.isoformat() if job.finished else None
    times = {"created": job.created.isoformat(), "updated": job.updated.isoformat(), "finished": ended}
    return {"success": True, "status": str(job.status), "kind": job.kind, "stage": job.stage, **times}


def recent(services: Services, asked: ApiRequest) -> HandlerResult:
    """The caller's own requests, newest first."""
    now = datetime.now(UTC).timestamp()
    jobs = services.jobs.recent(asked.caller)
    requests = [
        {
            "id": job.id,
            "kind": job.kind,
            "status": str(job.status),
            "timestamp": job.created.timestamp(),
            "age": round(now - job.created.timestamp(), 3),
        }
        for job in jobs
    ]
    return {"success": True, "status": "success", "requests": requests}


def clean(services: Services, asked: ApiRequest) -> HandlerResult:
    """Forget the caller's own requests."""
    count = services.jobs.clean(asked.caller, asked.body(CleanupRequest).max_age_seconds)
    return {"success": True, "status": "success", "message": f"Forgot {count} requests"}


def reindex(services: Services, asked: ApiRequest) -> HandlerResult:
    """Build if that is due, or if `force` says so; then tidy up."""
    manifest = services.reindex.build() if asked.body(ReindexRequest).force else services.reindex.build_if_due()
    swept = sweep(services.store, services.catalog, older_than=DAY)
    services.catalog.delete_finished_jobs(None, datetime.now(UTC) - timedelta(seconds=7 * DAY))
    services.attempts.clean_attempts(datetime.now(UTC) - timedelta(seconds=DAY))
    built = f"{manifest.version} holds every garment" if manifest else "No index version is due"
    message = f"{built}; {swept} objects without a row deleted"
    return {"success": True, "message": message, "data": asdict(manifest) if manifest else None}, 202


def alive(services: Services, asked: ApiRequest) -> HandlerResult:
    """Whether the instance is alive."""
    return {"success": True, "status": "alive"}


def ready(services: Services, asked: ApiRequest) -> HandlerResult:
    """Whether the database can be used."""
    services.catalog.ping()
    return {"success": True, "status": "ready"}


def ready_to_look(services: Services, asked: ApiRequest) -> HandlerResult:
    """With models, for the functions that use them."""
    services.models.warm()
    return ready(services, asked)


def ready_to_search(services: Services, asked: ApiRequest) -> HandlerResult:
    services.index.warm()
    return ready_to_look(services, asked)


def garment_answer(garment: Detection) -> dict[str, Any]:
    return {"bounding_box": garment.box.as_list(), "label": garment.label, "score": _rounded(garment.score)}


def segment_answer(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.row_id,
        "splitted_image_id": segment.name,
        "splitted_image_path": segment.path,
        "original_image_id": segment.photo,
        "bounding_box": segment.box.as_list() if segment.box else None,
        "label": segment.label,
        "score": _rounded(segment.score),
    }


def match_answer(match: Match) -> dict[str, Any]:
    chance = {} if match.match is None else {"match": round(match.match, 4)}
    alike = {"similarity": round(match.similarity, 6), **chance, "why": why_answer(match.why)}
    details = {} if match.details is None else {"details": asdict(match.details)}
    return {**segment_answer(match.segment), **alike, **details, **match.picture}


def why_answer(why: Explanation) -> dict[str, Any]:
    """What is known alone."""
    known = {name: value for name, value in asdict(why).items() if value is not None}
    return known if why.colour_distance is None else known | {"colour_distance": round(why.colour_distance, 1)}


def group_answer(group: MatchGroup) -> dict[str, Any]:
    return {**garment_answer(group.garment), "results": matches_answer(group.matches)}


def matches_answer(matches: Sequence[Match]) -> list[dict[str, Any]]:
    return [match_answer(match) for match in matches]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)

"""Upload photos, and cut out their garments."""

from lookalike.bootstrap import Services
from lookalike.domain.model import Box
from lookalike.http.handlers.responses import encode_base64, garment_response, segment_response
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import (
    HandlerResult,
    NewSegmentRequest,
    SplitRequest,
    UploadRequest,
    UploadSegmentRequest,
)
from lookalike.usecases.jobs import validate_or_create_job_id
from lookalike.usecases.upload import SegmentAttributes


def upload_image(services: Services, request: ApiRequest) -> HandlerResult:
    """Store the garments of a photo.

    If no garment is found, the whole photo is stored as one, unless `force_process` is false.
    """
    body = request.parse_body(UploadRequest)
    data, name = request.read_image(body), body.image_name or validate_or_create_job_id(None)
    with services.jobs.run_job("upload", request.caller, request.request_id) as job:
        stored = services.upload.upload_photo(data, name, request.caller.user, body.force_process, job)
    if not stored.segments:
        return {"success": False, "message": "No clothing was found; nothing is stored"}
    count = len(stored.segments)
    return {
        "success": True,
        "message": f"Successfully processed and uploaded image, detected {count} clothing segment{'s' * (count != 1)}",
        "data": {"original_image_id": stored.photo, "segments": [segment_response(one) for one in stored.segments]},
    }


def upload_single_image(services: Services, request: ApiRequest) -> HandlerResult:
    """Store a garment that was cut out by the caller."""
    body = request.parse_body(UploadSegmentRequest)
    data, number = request.read_image(body), int(body.segment_id)
    with services.jobs.run_job("upload", request.caller, request.request_id) as job:
        stored = services.upload.upload_segment(data, body.original_image_id, number, request.caller.user, job)
    return {"success": True, "message": f"Stored {stored.name}", "data": segment_response(stored)}


def add_segment(services: Services, request: ApiRequest) -> HandlerResult:
    """Add one more garment to a stored photo."""
    body = request.parse_body(NewSegmentRequest)
    data, photo = request.read_image(body), body.original_image_id
    services.segments.list_segments_of_photo(photo)  # raises NotFound if the photo is not stored
    box = Box(*body.bounding_box) if body.bounding_box else None
    attributes = SegmentAttributes(box, body.label, body.score)
    with services.jobs.run_job("upload", request.caller, request.request_id) as job:
        stored = services.upload.upload_segment(data, photo, body.segment_id, request.caller.user, job, attributes)
    return {"success": True, "message": f"Stored {stored.name}", "data": segment_response(stored)}


def split_image(services: Services, request: ApiRequest) -> HandlerResult:
    """Cut out the garments of a photo. Nothing is stored."""
    body = request.parse_body(SplitRequest)
    data = request.read_image(body)
    with services.jobs.run_job("split", request.caller, request.request_id) as job:
        result = services.split.split_photo(data, body.force_process, job)
    size = {"width": result.width, "height": result.height}
    if not result.detections:
        return {"success": False, "message": "No clothing was found", **size, "segments": [], "data": {"segments": []}}
    segments = [
        {"segment_id": f"segment_{number}", "segment_base64": encode_base64(image), **garment_response(garment)}
        for number, (garment, image) in enumerate(zip(result.detections, result.images, strict=True))
    ]
    message = f"Found {len(segments)} clothing segments"
    return {"success": True, "message": message, **size, "data": {"segments": segments}}


def image_split(services: Services, request: ApiRequest) -> HandlerResult:
    """Cut out the garments of a photo, in the response format of the original's second split route."""
    response = split_image(services, request)
    assert isinstance(response, dict)
    segments = response.pop("data")["segments"]
    return {**response, "segments": [{"image_base64": one.pop("segment_base64"), **one} for one in segments]}

"""Handlers that store photos and garments, and cut garments out of photos."""

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

    Detects the garments and stores each with its cut-out. If there are none, the whole photo is stored as one garment,
    or nothing if `force_process` is false. Uploading the same photo under the same name again changes nothing.
    """
    body = request.parse_body(UploadRequest)
    data, name = request.read_image(body), body.image_name or validate_or_create_job_id(None)
    with services.jobs.run_job("upload", request.caller, request.request_id) as job:
        stored = services.upload.upload_photo(data, name, request.caller.owner, body.force_process, job)
    if not stored.segments:
        return {"success": False, "message": "No clothing was found; nothing is stored"}
    count = len(stored.segments)
    return {
        "success": True,
        "message": f"Successfully processed and uploaded image, detected {count} clothing segment{'s' * (count != 1)}",
        "data": {
            "original_image_id": stored.photo,
            "segments": [segment_response(segment) for segment in stored.segments],
        },
    }


def upload_single_image(services: Services, request: ApiRequest) -> HandlerResult:
    """Store a garment that you have cut out yourself."""
    body = request.parse_body(UploadSegmentRequest)
    data, number = request.read_image(body), int(body.segment_id)
    with services.jobs.run_job("upload", request.caller, request.request_id) as job:
        stored = services.upload.upload_segment(data, body.original_image_id, number, request.caller.owner, job)
    return {"success": True, "message": f"Stored {stored.name}", "data": segment_response(stored)}


def add_segment(services: Services, request: ApiRequest) -> HandlerResult:
    """Add a garment to a stored photo."""
    body = request.parse_body(NewSegmentRequest)
    data, photo = request.read_image(body), body.original_image_id
    services.segments.list_segments_of_photo(photo)  # raises NotFound if the photo is not stored
    box = Box(*body.bounding_box) if body.bounding_box else None
    attributes = SegmentAttributes(box, body.label, body.score)
    with services.jobs.run_job("upload", request.caller, request.request_id) as job:
        stored = services.upload.upload_segment(data, photo, body.segment_id, request.caller.owner, job, attributes)
    return {"success": True, "message": f"Stored {stored.name}", "data": segment_response(stored)}


def split_image(services: Services, request: ApiRequest) -> HandlerResult:
    """Cut out the garments of a photo without storing them."""
    body = request.parse_body(SplitRequest)
    data = request.read_image(body)
    with services.jobs.run_read_only_job("split", request.caller, request.request_id, request.is_new_id) as job:
        result = services.split.split_photo(data, body.force_process, job)
    size = {"width": result.width, "height": result.height}
    if not result.detections:
        return {"success": False, "message": "No clothing was found", **size, "segments": [], "data": {"segments": []}}
    segments = [
        {"segment_id": f"segment_{number}", "segment_base64": encode_base64(cut_out), **garment_response(garment)}
        for number, (garment, cut_out) in enumerate(zip(result.detections, result.images, strict=True))
    ]
    message = f"Found {len(segments)} clothing segments"
    return {"success": True, "message": message, **size, "data": {"segments": segments}}


def image_split(services: Services, request: ApiRequest) -> HandlerResult:
    """Cut out the garments of a photo without storing them.

    Like `/split_image`, but with another response format, which other clients of the original system read.
    """
    response = split_image(services, request)
    assert isinstance(response, dict)
    segments = response.pop("data")["segments"]
    return {
        **response,
        "segments": [{"image_base64": segment.pop("segment_base64"), **segment} for segment in segments],
    }

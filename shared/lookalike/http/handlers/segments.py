"""Read, change and describe stored garments."""

from dataclasses import asdict

import flask

from lookalike.bootstrap import Services
from lookalike.domain.model import Box, ProductDetails
from lookalike.http.handlers.responses import segment_response
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import DetailsRequest, HandlerResult, ProductDetailsRequest, UpdateSegmentRequest


def get_segment(services: Services, request: ApiRequest) -> HandlerResult:
    """Get a stored garment, by its name or row number."""
    return {"success": True, "data": segment_response(services.segments.get_segment(request.path_parameters["id"]))}


def list_segments_of_photo(services: Services, request: ApiRequest) -> HandlerResult:
    """List the stored garments of a photo."""
    segments = services.segments.list_segments_of_photo(request.path_parameters["id"])
    return {"success": True, "data": [segment_response(segment) for segment in segments]}


def update_segment(services: Services, request: ApiRequest) -> HandlerResult:
    """Change a garment's box, label or score. Fields that are not sent stay as they are."""
    changes = request.parse_body(UpdateSegmentRequest).model_dump(exclude_unset=True, exclude={"request_id"})
    if changes.get("bounding_box"):
        changes["bounding_box"] = Box(*changes["bounding_box"])
    changed = services.segments.update_segment(request.path_parameters["id"], changes)
    return {"success": True, "message": f"Changed {changed.name}", "data": segment_response(changed)}


def get_thumbnail(services: Services, request: ApiRequest) -> HandlerResult:
    """Get a small image of a garment."""
    image = services.segments.load_thumbnail(request.path_parameters["id"])
    content_type = "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"
    return flask.Response(image, mimetype=content_type, headers={"Cache-Control": "private, max-age=300"})


def get_details(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the product details of a garment: its own, or else those of its photo."""
    body = request.parse_body(DetailsRequest)
    return {"success": True, "message": asdict(services.segments.get_details(body.splitted_image_id))}


def put_details(services: Services, request: ApiRequest) -> HandlerResult:
    """Insert or replace the product details of a photo or a garment."""
    body = request.parse_body(ProductDetailsRequest)
    details = ProductDetails(request.path_parameters["id"], **body.model_dump(exclude={"request_id"}))
    services.segments.put_details([details])
    return {"success": True, "message": f"Stored the product details of {details.image_id}", "data": asdict(details)}

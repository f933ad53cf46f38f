"""Handlers that read and change stored garments and their product details."""

from dataclasses import asdict

import flask

from lookalike.bootstrap import Services
from lookalike.domain.model import Box, ProductDetails
from lookalike.http.handlers.responses import segment_response
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import DetailsRequest, HandlerResult, ProductDetailsRequest, UpdateSegmentRequest


def get_segment(services: Services, request: ApiRequest) -> HandlerResult:
    """Get a stored garment.

    `id` is the garment's name or its row number.
    """
    segment = services.segments.get_segment(request.path_parameters["id"], request.caller.scope)
    return {"success": True, "data": segment_response(segment)}


def list_segments_of_photo(services: Services, request: ApiRequest) -> HandlerResult:
    """List the stored garments of a photo.

    `id` is the photo's name.
    """
    segments = services.segments.list_segments_of_photo(request.path_parameters["id"], request.caller.scope)
    return {"success": True, "data": [segment_response(segment) for segment in segments]}


def update_segment(services: Services, request: ApiRequest) -> HandlerResult:
    """Change a garment's box, label or score.

    Omitted fields keep their values.
    """
    changes = request.parse_body(UpdateSegmentRequest).model_dump(exclude_unset=True, exclude={"request_id"})
    if changes.get("bounding_box"):
        changes["bounding_box"] = Box(*changes["bounding_box"])
    changed = services.segments.update_segment(request.path_parameters["id"], changes)
    return {"success": True, "message": f"Changed {changed.name}", "data": segment_response(changed)}


def get_thumbnail(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the thumbnail of a garment."""
    image = services.segments.load_thumbnail(request.path_parameters["id"], request.caller.scope)
    content_type = "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"
    return flask.Response(image, mimetype=content_type, headers={"Cache-Control": "private, max-age=300"})


def get_details(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the product details of a garment.

    If the garment has none of its own, these are the details of its photo.
    """
    body = request.parse_body(DetailsRequest)
    details = services.segments.get_details(body.splitted_image_id, request.caller.scope)
    return {"success": True, "message": asdict(details)}


def put_details(services: Services, request: ApiRequest) -> HandlerResult:
    """Set the product details of a photo or a garment.

    `id` is the name of the photo or garment. All stored details are replaced.
    """
    body = request.parse_body(ProductDetailsRequest)
    details = ProductDetails(request.path_parameters["id"], **body.model_dump(exclude={"request_id"}))
    services.segments.put_details([details])
    return {"success": True, "message": f"Stored the product details of {details.image_id}", "data": asdict(details)}

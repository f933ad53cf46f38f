"""A storage event: an object was finalized in the bucket. Whatever is not answered with 2xx is delivered again."""

from typing import Any

import flask
from cloudevents.exceptions import GenericException as NoEvent
from cloudevents.http import from_http

from lookalike.bootstrap import Services
from lookalike.domain.errors import BadRequest, NotFound
from lookalike.http.asking import Asked
from lookalike.images import MAX_BYTES
from lookalike.usecases.ingest import Source

INCOMING = "incoming/"
FINALIZED = "google.cloud.storage.object.v1.finalized"


def storage_event(services: Services, asked: Asked) -> tuple[dict[str, Any], int]:
    """204 when the object is done with: stored, noted as failed for good, or not ours to take."""
    event = _event(flask.request)
    name = _field(event, "name")
    if event["type"] == FINALIZED and name.startswith(INCOMING):
        _take(services, Source(_field(event, "bucket"), name, _field(event, "generation")))
    return {}, 204


def _take(services: Services, source: Source) -> None:
    if (source.name, source.generation) in services.ingest.known(source.bucket, [source.name]):
        return
    there = services.store.stat(source.name)
    if there is None or str(there.generation) != source.generation:
        return  # deleted or overwritten since: the newer one has an event of its own
    if there.size > MAX_BYTES:
        services.ingest.refuse(source, f"Larger than {MAX_BYTES} bytes")
        return
    try:
        services.ingest.take(source, services.store.get(source.name))
    except NotFound:
        return  # deleted between the two calls


def _event(request: flask.Request) -> dict[str, Any]:
    try:
        event = from_http(request.headers, request.get_data())
    except (NoEvent, ValueError) as error:
        raise BadRequest("Not a CloudEvent") from error
    if not isinstance(event.data, dict):
        raise BadRequest("The event holds no object")
    return {**event.data, "type": event["type"]}


def _field(event: dict[str, Any], name: str) -> str:
    value = event.get(name)
    if not isinstance(value, str | int) or not str(value):
        raise BadRequest(f"The event's object has no {name}", field=name)
    return str(value)

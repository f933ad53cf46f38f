"""Handler of storage events: ingests photos that were written to the bucket.

Eventarc delivers events at least once and in any order, and repeats an event until the response has a 2xx status.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import flask
from cloudevents.exceptions import GenericException as CloudEventError
from cloudevents.http import from_http
from pydantic import ValidationError

from lookalike.bootstrap import Services
from lookalike.domain.errors import BadRequest
from lookalike.domain.paths import INCOMING_PREFIX
from lookalike.http.event_schemas import HEADER_PREFIX, STRUCTURED, CloudEventAttributes, CloudEventBody
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult
from lookalike.usecases.ingest import Source

FINALIZED = "google.cloud.storage.object.v1.finalized"
"""Type of the event for a new object, or a new version of an object."""
MAX_AGE = timedelta(days=1)
"""Eventarc gives up after a day. An older event was replayed by hand; it is recorded as failed."""


@dataclass(frozen=True)
class StorageEvent:
    """A storage event. The object's name in `source` is relative to the store's prefix."""

    type: str
    time: datetime | None
    source: Source
    is_in_store: bool
    """Whether the object's full name has the store's prefix. The bucket can contain other stores."""


def handle_storage_event(services: Services, request: ApiRequest) -> HandlerResult:
    """Ingest a photo that was written to the bucket.

    The body is a CloudEvent about an object. The status is 204 if the event needs no retry: the photo was stored, its
    failure was recorded, or the object is not under `incoming/`.
    """
    event = parse_event(flask.request, services.settings.prefix)
    # Objects outside incoming/ are lookalike's own output: ingesting them would trigger further events. The Cloud
    # console creates empty objects whose names end in a slash as folders.
    is_photo = event.source.name.startswith(INCOMING_PREFIX) and not event.source.name.endswith("/")
    if event.type == FINALIZED and event.is_in_store and is_photo:
        _ingest(services, event)
    return {}, 204


def _ingest(services: Services, event: StorageEvent) -> None:
    ingest, source = services.ingest, event.source
    # a repeated event
    if ingest.recorded_outcome(source):
        return
    if event.time and datetime.now(UTC) - event.time > MAX_AGE:
        ingest.record_failure(source, "The event is more than a day old")
    else:
        services.bucket_ingest.ingest_version(source)


def parse_event(request: flask.Request, prefix: str) -> StorageEvent:
    """Parse a CloudEvent in binary or structured mode. Raises `BadRequest`.

    `prefix` is the store's prefix in the bucket, and is removed from the object's name.
    """
    headers = _mode_headers(request)
    try:
        parsed = from_http(headers, request.get_data())
        event = CloudEventBody.model_validate({**parsed.get_attributes(), "data": parsed.data})
    except (CloudEventError, ValidationError, ValueError, TypeError) as error:
        raise BadRequest("The request is not a CloudEvent about an object in Cloud Storage") from error
    name = event.data.name
    source = Source(event.data.bucket, name.removeprefix(prefix), str(event.data.generation))
    return StorageEvent(event.type, event.time, source, name.startswith(prefix))


def _mode_headers(request: flask.Request) -> dict[str, str]:
    """Return the headers that describe the event: of structured mode the content type alone.

    Raises `BadRequest` if a required header of binary mode is missing. `from_http` would take the body of such a request
    for a structured event, whatever its content type.
    """
    if request.mimetype == STRUCTURED:
        return {"content-type": STRUCTURED}
    required = [
        HEADER_PREFIX + name for name, field in CloudEventAttributes.model_fields.items() if field.is_required()
    ]
    if missing := [name for name in required if name not in request.headers]:
        raise BadRequest(
            f"The request is not a CloudEvent: send the headers {', '.join(missing)}, or the whole event as {STRUCTURED}",
            missing=missing,
        )
    return dict(request.headers)

"""A storage event: an object was finalized in the bucket. Whatever is not answered with 2xx is delivered again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import flask
from cloudevents.exceptions import GenericException as NoEvent
from cloudevents.http import from_http
from pydantic import BaseModel, Field, ValidationError

from lookalike.bootstrap import Services
from lookalike.domain.errors import BadRequest, NotFound
from lookalike.domain.paths import INCOMING
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult
from lookalike.images import MAX_BYTES
from lookalike.usecases.ingest import Source

FINALIZED = "google.cloud.storage.object.v1.finalized"
OLDEST = timedelta(days=1)
"""After which Eventarc itself would have given up."""


class StoredData(BaseModel):
    """What we need of a `google.events.cloud.storage.v1.StorageObjectData`; numbers may come as text."""

    bucket: str = Field(min_length=1)
    name: str = Field(min_length=1)
    generation: int = Field(gt=0)


@dataclass(frozen=True)
class StorageEvent:
    type: str
    time: datetime | None
    source: Source


def storage_event(services: Services, asked: ApiRequest) -> HandlerResult:
    """204 when the object is done with: stored, noted as failed for good, or not ours to take."""
    event = read_event(flask.request, services.settings.prefix)
    # whatever lies elsewhere is our own output; a name that ends so is a folder that the console made
    if event.type == FINALIZED and event.source.name.startswith(INCOMING) and not event.source.name.endswith("/"):
        _take(services, event)
    return {}, 204


def _take(services: Services, event: StorageEvent) -> None:
    ingest, source = services.ingest, event.source
    if (source.name, source.generation) in ingest.known(source.bucket, [source.name]):
        return
    if event.time and datetime.now(UTC) - event.time > OLDEST:
        ingest.refuse(source, "The event came more than a day late")
    elif not _is_current(services, source):
        ingest.skip(source)
    else:
        _fetch(services, source)


def _fetch(services: Services, source: Source) -> None:
    try:
        there = services.store.stat(source.name)
        if there and there.size > MAX_BYTES:
            services.ingest.refuse(source, f"{there.size:,} bytes: at most {MAX_BYTES:,} are accepted")
            return
        data = services.store.get(source.name)
    except NotFound:
        services.ingest.skip(source)
    else:
        services.ingest.take(source, data, lambda: _is_current(services, source))


def _is_current(services: Services, source: Source) -> bool:
    there = services.store.stat(source.name)
    return there is not None and str(there.generation) == source.generation


def read_event(request: flask.Request, prefix: str) -> StorageEvent:
    """In binary or structured mode; `prefix` is where in its bucket our store begins. Raises `BadRequest`."""
    try:
        event = from_http(dict(request.headers), request.get_data())
        data = StoredData.model_validate(event.data)
        time = datetime.fromisoformat(str(event["time"])) if "time" in event.get_attributes() else None
    except (NoEvent, ValidationError, ValueError, TypeError) as error:
        raise BadRequest("Not a CloudEvent of a stored object") from error
    moment = time.replace(tzinfo=UTC) if time and time.tzinfo is None else time
    return StorageEvent(
        event["type"], moment, Source(data.bucket, data.name.removeprefix(prefix), str(data.generation))
    )

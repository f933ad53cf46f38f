"""Request and response schemas of the ingestion routes. The docstrings are descriptions in the API documentation."""

from typing import Annotated, Literal

from pydantic import Field

from lookalike.http.request_schemas import RequestBody
from lookalike.http.response_schemas import DataResponse, Schema

ObjectName = Annotated[str, Field(min_length=1, max_length=1024)]


class IngestionSelection(RequestBody):
    """Selects ingested objects. All given conditions must match."""

    bucket: str | None = Field(None, min_length=1, max_length=4000)
    """Bucket of the objects, or a folder as `file:/path`. Default: all."""
    prefix: str = Field("", max_length=1024)
    """Beginning of the object's name."""
    cursor: str | None = Field(None, min_length=1, max_length=500)
    """Continues an earlier request: the `cursor` of its response. Default: starts with the newest."""


class IngestionsRequest(IngestionSelection):
    """A page of the ingestion ledger."""

    state: Literal["all", "done", "failed"] = "all"
    """Which ingestions to list."""
    limit: int = Field(50, ge=1, le=500)
    """Maximum number of ingestions on the page."""


class IngestionRetryRequest(IngestionSelection):
    """Selects failed ingestions to retry. Only objects of the server's own bucket can be retried."""

    names: list[ObjectName] | None = Field(None, max_length=500)
    """Names of objects in the server's own bucket. Default: all."""
    limit: int = Field(100, ge=1, le=1000)
    """Maximum number of failures to retry."""


class Ingestion(Schema):
    """Outcome of the ingestion of one version of an object."""

    bucket: str
    """Bucket, or a folder as `file:/path`."""
    name: str
    """Name of the object."""
    generation: str
    """Version of the object."""
    state: Literal["done", "failed"]
    photo: str | None
    """Name of the stored photo. Null if none was stored."""
    reason: str | None
    """Why no photo was stored."""
    recorded_at: str
    """Time at which this was recorded, in UTC."""


class IngestionCounts(Schema):
    """Number of ingestions by state."""

    done: int
    failed: int


class IngestionRates(Schema):
    """Photos stored per minute, over periods that end now."""

    last_minute: float
    last_10_minutes: float
    last_60_minutes: float


class IngestionsResponse(DataResponse[list[Ingestion]], use_attribute_docstrings=True):
    """A page of the ingestion ledger, newest first, with figures about all ingestions of the bucket and prefix."""

    counts: IngestionCounts
    photos_per_minute: IngestionRates
    cursor: str | None
    """Send this as `cursor` to get the next page. Null on the last page."""


class FailedIngestion(Schema):
    """An ingestion that failed again."""

    name: str
    reason: str | None


class FailuresElsewhere(Schema):
    """Failures that this server cannot retry, because it cannot read the objects."""

    bucket: str
    failed: int
    """Number of failures."""
    command: str
    """Command that retries them, on a machine that can read the bucket or folder. Replace PREFIX."""


class IngestionRetry(Schema):
    """Number of retried failures by outcome."""

    retried: int
    """The sum of `stored`, `failed`, `superseded` and `deleted`."""
    stored: int
    failed: int
    superseded: int
    """Failures of versions that were overwritten, and whose newer version was ingested or has failed itself."""
    deleted: int
    """Failures of objects that no longer exist. They are not listed as failed any more."""
    remaining: int
    """Selected failures that were not retried yet."""
    failures: list[FailedIngestion]
    """The ingestions that failed again."""
    elsewhere: list[FailuresElsewhere]
    """Selected failures in other buckets and in folders."""


class IngestionRetryResponse(DataResponse[IngestionRetry], use_attribute_docstrings=True):
    """Outcome of a retry."""

    cursor: str | None
    """Send this as `cursor` to retry the remaining failures. Null if none remains."""

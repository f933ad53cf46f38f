"""Request and response schemas of `POST /catalog/sync`.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

from pydantic import ConfigDict, Field

from lookalike.http.request_schemas import RequestBody
from lookalike.http.response_schemas import DataResponse, Schema


class CatalogSyncRequest(RequestBody):
    """A feed to bring the products up to date with."""

    feed: str = Field(pattern=r"^(https?|gs)://", max_length=2048, repr=False)
    """Address of the feed: `https://…`, or `gs://bucket/object` of a bucket that the server may read."""
    name: str | None = Field(None, min_length=1, max_length=200)
    """Name under which the products are kept. Default: the host and the name of the file without its suffix."""
    currency: str | None = Field(None, pattern="^[A-Z]{3}$")
    """ISO 4217 code of prices without one."""
    dry_run: bool = False
    """Whether to only count what would happen."""
    delete_missing: bool = False
    """Whether to delete the products that the feed does not contain any more, with their photos."""
    force: bool = False
    """Whether to delete them even if they are more than a fifth, or if lines have no readable id."""


class FeedLineOutcome(Schema):
    """A failed line."""

    number: int
    """Number of the line, or of the item in XML."""
    status: str
    product_id: str | None
    """Id of the product, if it could be read."""
    reason: str | None


class CatalogSyncReport(Schema):
    """Counts of a synchronization. Each line is new, changed, unchanged or failed."""

    model_config = ConfigDict(extra="forbid")

    feed: str
    """Name under which the products are kept."""
    dry_run: bool
    is_complete: bool
    """False if the time limit was reached. Send the same request again: it goes on from there."""
    lines: int
    new: int
    changed: int
    unchanged: int
    failed: int
    gone: int
    """Products that the previous synchronization found and this one did not."""
    deleted: int
    """Products that were deleted, or would be in a dry run."""
    pictures_stored: int
    """Pictures that are new for their product or have changed."""
    pictures_unchanged: int
    pictures_failed: int
    refused: str | None
    """Why no products were deleted although it was asked for."""
    failures: list[FeedLineOutcome]
    """The first 1,000 failed lines."""
    seconds: float


class CatalogSyncResponse(DataResponse[CatalogSyncReport]):
    """Counts of the synchronization."""

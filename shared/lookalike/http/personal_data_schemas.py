"""Schemas of requests and responses about personal data.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

from typing import Any

from pydantic import Field

from lookalike.http.request_schemas import RequestBody
from lookalike.http.response_schemas import DataResponse, Receipt, Schema


class ExportRequest(RequestBody):
    """Options of an export."""

    links: bool = False
    """Whether to add links to the images. They expire after an hour."""


class EraseAccountRequest(RequestBody):
    """Confirmation that you want to erase your account."""

    password: str = Field(max_length=10_000, repr=False)
    """The password of your account. An access token alone is not enough, because it could be stolen."""


class PersonalData(Schema):
    """Everything that is kept of you. Unknown values are left out."""

    exported_at: str
    account: dict[str, Any]
    """The fields that the sign-in service keeps, without the password."""
    sessions: int | None
    """Number of sessions that can still be refreshed. Null if the sign-in service does not tell."""
    photos: list[dict[str, Any]]
    """Photos that you uploaded, with their garments, product details, and paths in the bucket."""
    searches: list[dict[str, Any]]
    """Search history: the requests without their photos, the vectors of these photos (`photo_vectors`), and the row
    numbers of the results and of those you chose."""
    jobs: list[dict[str, Any]]
    """Requests that run or ended within the last seven days, with the address they came from."""
    edits: list[dict[str, Any]]
    """Fields of products that you set as an administrator."""


class ExportResponse(DataResponse[PersonalData]):
    """An export of your data."""


class AccountReceipt(Receipt):
    """Receipt of the erasure of a user."""

    is_account_deleted: bool
    """False if something remains to be erased, or if the sign-in service keeps the account; see `message`."""


class AccountReceiptResponse(DataResponse[AccountReceipt]):
    """Receipt of the erasure of a user's data."""

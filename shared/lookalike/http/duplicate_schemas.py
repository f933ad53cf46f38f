"""Schemas of requests and responses about duplicates.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lookalike.domain.duplicates import Decision, PairState
from lookalike.http.request_schemas import Name, RequestBody
from lookalike.http.response_schemas import OPTIONAL, DataResponse, Receipt, Schema, Segment


def _to_state(value: Any) -> Any:
    # Strict validation of Python objects accepts only enum members. Unknown text is left to pydantic to reject.
    return PairState(value) if isinstance(value, str) and value in list(PairState) else value


class DuplicatesRequest(RequestBody):
    """A page of groups of duplicates."""

    state: Annotated[PairState, BeforeValidator(_to_state)] = PairState.OPEN
    """Which pairs to list: those without a decision (`open`), `accepted` or `rejected` ones, or `all`."""
    limit: int = Field(20, ge=1, le=100)
    """Maximum number of groups on the page. A group can have further groups of its rows on the same page."""
    include: Literal["thumbnail", "url", "none"] = "none"
    """The image of each garment: `thumbnail` as base64, `url` as links that expire, or `none`."""
    cursor: str | None = None
    """The `next_cursor` of the previous page."""


class PairRequest(RequestBody):
    """Two garments."""

    garments: list[int | Name] = Field(min_length=2, max_length=2)
    """Names or row numbers of both."""


class DecisionRequest(PairRequest):
    """A decision about two garments."""

    decision: Literal["accepted", "rejected", "open"]
    """`accepted`: both show the same. `rejected`: they are different. `open` removes an earlier decision."""


class DuplicateGarment(Segment):
    """A garment of a group."""

    thumbnail_base64: str = OPTIONAL
    """The thumbnail in base64, with `include` set to `thumbnail`."""
    url: str = OPTIONAL
    """Link to the cut-out, with `include` set to `url`. It expires."""
    thumbnail_url: str = OPTIONAL
    """Link to the thumbnail, with `include` set to `url`. It expires."""


class DuplicatePair(Schema):
    """Two garments of a group."""

    garments: list[int]
    """Their row numbers."""
    similarity: float
    """Cosine similarity, at most 1."""
    decision: Decision | None
    """`accepted` or `rejected`, null without a decision."""


class DuplicateGroup(Schema):
    """Garments that are connected by pairs."""

    garments: list[DuplicateGarment]
    pairs: list[DuplicatePair]


class DuplicatesResponse(DataResponse[list[DuplicateGroup]], use_attribute_docstrings=True):
    """A page of groups. It can be short, or empty, while `next_cursor` is not null."""

    threshold: float
    """Cosine similarity from which two garments are copies."""
    next_cursor: str | None
    """Send it as `cursor` to get the next page. Null on the last page."""


class MergeReceipt(Receipt):
    """Receipt of a merge: of the garment that was erased."""

    kept: str
    """Name of the garment that is kept, the one with the better picture."""
    moved: int
    """Entries of search histories, products and the ledger that refer to the kept garment now."""


class MergeResponse(DataResponse[MergeReceipt]):
    """The result of a merge."""

"""Schemas of the routes for administrators: corrections, index, models, jobs, figures and API keys.

The docstrings of schemas and fields are their descriptions in the API documentation.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from lookalike.http.request_schemas import Corners, FilteredRequest, RequestBody
from lookalike.http.response_schemas import OPTIONAL, DataResponse, IndexInfo, Schema

VersionName = Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,64}$")]


class RecutRequest(RequestBody):
    """A new box of a garment."""

    bounding_box: Corners
    """Box of the garment: x1, y1, x2, y2 in pixels of the upright photo; x2 and y2 are exclusive. Clipped to the photo."""
    label: str | None = Field(None, min_length=1, max_length=255)
    """Kind of garment, such as `dress`. Default: the old one."""


class IndexVersion(Schema):
    """An index version."""

    version: str
    built_at: str
    """Time at which the version was built, in UTC."""
    build_seconds: float
    rows: int
    """Number of garments in it."""
    recall: float | None
    """Share, 0 to 1, of the ten nearest garments that it finds. Null if it is exact, so that it finds all."""
    is_current: bool


class PendingRebuild(Schema):
    """A rebuild that an administrator requested, and that has not ended."""

    id: str
    """Id of the request, for `/request_status` and `/cancel_request`."""
    stage: str
    """`waiting for the schedule` or `building`."""
    requested: str
    """Time of the request, in UTC."""


class IndexOverview(IndexInfo):
    """The searched index and the versions in the bucket."""

    embedder: str
    """Embedder of its vectors."""
    is_pinned: bool
    """Whether an administrator chose the current version. Scheduled builds do not replace it; a rebuild does."""
    recall: float | None
    """Recall of the current version. Null if it is exact or unknown."""
    rebuild: PendingRebuild | None
    """The rebuild that waits or runs."""
    versions: list[IndexVersion]
    """All versions of this embedder, newest first. Empty with Milvus, which has none."""


class RequestedRebuild(Schema):
    """A requested rebuild."""

    id: str
    """Id of the request. `/request_status` shows when it has ended."""
    version: str | None
    """The new index version. Null in the cloud, where the next call of the schedule builds it."""


class RollbackRequest(RequestBody):
    """The index version to return to."""

    version: VersionName | None = None
    """Name of the version. Default: the one before the current one."""


class EmbedderState(Schema):
    """An embedder."""

    name: str
    """Name that is stored with its vectors."""
    dim: int
    """Length of its vectors."""
    models: str
    """Value of the setting MODELS that chooses it."""
    embedder: str
    """Value of the setting EMBEDDER that chooses it; empty for the default of MODELS."""
    garments_without_vector: int
    """Garments that searches with this embedder would not find."""
    command: str
    """Command that gives them vectors of this embedder."""


class ModelOverview(Schema):
    """Models in use, and others that could be used."""

    detector: str
    """Value of the setting DETECTOR, or that of MODELS if it is empty."""
    garments: int
    """Number of all stored garments."""
    current: EmbedderState
    others: list[EmbedderState]
    """Built-in embedders that are not in use."""


class RunningJob(Schema):
    """A request that runs now."""

    id: str
    kind: str
    """`upload`, `split`, `search`, `ingest`, `recut`, `sync` or `rebuild`."""
    stage: str
    """The step that runs now."""
    owner: str | None
    """Id of the user, or `key:` and the id of an API key. Null for anonymous requests."""
    address: str
    """Network address of the client."""
    created: str
    """Time at which it started, in UTC."""
    age: float
    """Seconds since it started."""
    cancel_requested: bool


class HourFigures(Schema):
    """Requests of one kind that started in one hour."""

    hour: str
    """Start of the hour, in UTC."""
    kind: str
    completed: int
    failed: int
    cancelled: int
    processing: int


class KindFigures(Schema):
    """Requests of one kind. Durations are of completed requests, in seconds; null if there are none."""

    kind: str
    """`upload`, `split`, `search`, `ingest`, `recut`, `sync` or `rebuild`."""
    completed: int
    failed: int
    cancelled: int
    processing: int
    median_seconds: float | None
    p95_seconds: float | None
    """Duration that 95 % of the requests did not exceed."""


class ErrorFigures(Schema):
    """Failed requests of one kind with one reason."""

    kind: str
    error: str | None
    """Code of the error, as in error responses, or `interrupted` if the process ended first. Null if it is not known."""
    count: int


class Statistics(Schema):
    """Figures of the last 24 hours. Requests whose records were deleted are not counted."""

    since: str
    until: str
    kinds: list[KindFigures]
    errors: list[ErrorFigures]
    """Reasons of the failed requests, the most frequent first."""
    hours: list[HourFigures]
    """Hours and kinds without requests are left out."""


class NewKeyRequest(FilteredRequest):
    """Name, rights and lifetime of a new API key."""

    name: str = Field("", max_length=200)
    """A description for administrators."""
    role: Literal["search", "admin"] = "search"
    """`search`: only searches, within `filter`. `admin`: the routes of administrators."""
    requests_per_minute: int = Field(600, ge=0, le=1_000_000)
    """Limit of all requests with the key. 0: no limit."""
    requests_per_address: int = Field(0, ge=0, le=1_000_000)
    """Limit a minute of the requests from one client address. 0: no limit."""
    origins: list[str] = Field(default_factory=list, max_length=100)
    """Web pages that may use the key, such as `https://shop.example`. Empty: all."""
    valid_days: int | None = Field(365, ge=1, le=36_500)
    """Days until it expires. Null: it does not expire."""


class ApiKey(Schema):
    """An API key, without its secret. Times are in UTC."""

    id: str
    name: str
    role: str
    filter: dict[str, Any]
    requests_per_minute: int
    requests_per_address: int
    origins: list[str]
    created: str
    expires: str | None
    revoked: str | None
    last_used: str | None
    """Time of a recent use: at most one is recorded a minute."""
    key: str = OPTIONAL
    """The key itself, in the response that creates it. It cannot be shown again."""


class AccountsRequest(RequestBody):
    """A page of accounts."""

    limit: int = Field(50, ge=1, le=200)
    """Maximum number of accounts on the page."""
    cursor: str = Field("1", pattern=r"^[1-9][0-9]{0,8}$")
    """`cursor` of the previous page. `limit` must be the same."""


class Account(Schema):
    """A user account. Times are in UTC."""

    id: str
    email: str
    role: str
    """`user` or `admin`."""
    created: str | None
    """Null if the sign-in service does not tell."""
    last_sign_in: str | None
    """Last sign-in with the password. Null if there was none, or if the sign-in service does not tell."""


class AccountsResponse(DataResponse[list[Account]], use_attribute_docstrings=True):
    """A page of accounts."""

    cursor: str | None
    """Send it as `cursor` to get the next page, which may be empty. Null on the last page."""


IndexResponse = DataResponse[IndexOverview]
ModelsResponse = DataResponse[ModelOverview]
JobsResponse = DataResponse[list[RunningJob]]
StatisticsResponse = DataResponse[Statistics]
KeysResponse = DataResponse[list[ApiKey]]
KeyResponse = DataResponse[ApiKey]

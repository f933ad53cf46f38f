"""The route table: every route with its function, role, handler and schemas."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, partial

from pydantic import BaseModel
from werkzeug.exceptions import MethodNotAllowed as WerkzeugMethodNotAllowed
from werkzeug.exceptions import NotFound as WerkzeugNotFound
from werkzeug.routing import Map, Rule

from lookalike.bootstrap import Services
from lookalike.domain.errors import MethodNotAllowed, NotFound
from lookalike.http import (
    admin_schemas,
    browse_schemas,
    catalog_schemas,
    duplicate_schemas,
    history_schemas,
    ingestion_schemas,
    personal_data_schemas,
    search_schemas,
)
from lookalike.http import request_schemas as requests
from lookalike.http import response_schemas as responses
from lookalike.http.handlers import (
    accounts,
    administration,
    browse,
    catalog,
    duplicates,
    erasure,
    events,
    health,
    history,
    ingestions,
    jobs,
    personal_data,
    photos,
    reindex,
    search,
    segments,
)
from lookalike.http.request import AcceptedBody, ApiRequest
from lookalike.http.request_schemas import HandlerResult, RequestBody
from lookalike.http.widget import WIDGET_PATH

Segment = responses.DataResponse[responses.Segment]
Segments = responses.DataResponse[list[responses.Segment]]
Receipt = responses.DataResponse[responses.Receipt]
PastSearch = responses.DataResponse[history_schemas.PastSearch]
Feedback = responses.DataResponse[history_schemas.Feedback]
User = responses.DataResponse[responses.User]
Session = responses.DataResponse[responses.Session]


class Role(Enum):
    """The callers that may use a route."""

    OPEN = auto()
    """Everyone, always. Tokens are ignored. For sign-in and health checks."""
    ANYONE = auto()
    """Everyone, or only signed-in users if SEARCH_NEEDS_SIGN_IN is set."""
    OWNER = auto()
    """Like `ANYONE`, but the use case restricts callers to their own jobs."""
    USER = auto()
    """Signed-in users."""
    ADMIN = auto()
    """Administrators."""
    PLATFORM = auto()
    """The event trigger, the scheduler and administrators. On a development server also local processes."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of one function."""

    function: str
    """Name of the Cloud Run function that serves the route."""
    method: str
    path: str
    """Path with parameters in angle brackets, in the syntax of `werkzeug.routing`."""
    role: Role
    handler: Callable[[Services, ApiRequest], HandlerResult]
    """Function that builds the response. Its docstring describes the route in the API documentation."""
    response: type[BaseModel]
    """Schema of a successful response."""
    request: type[RequestBody] | None = None
    """Schema of the request's fields. `None` if the route reads no fields."""
    status: int = 200
    """Status of a successful response."""
    extra_error_statuses: tuple[int, ...] = ()
    """Error statuses of this route alone; `openapi.error_statuses` derives the others from the kind of route."""
    is_job: bool = False
    """Whether the handler runs a job. The model queue can be full, and the job can be canceled or run out of time."""
    media_type: str = "application/json"
    """Content type of a successful response."""
    accepts_files: bool = False
    """Whether the request may be a form with the JSON in the part `request`, and files that the JSON names."""
    is_body_optional: bool = False
    """Whether a request without a body has the default of each field. Never for PUT, which replaces what is stored."""
    accepts_events: bool = False
    """Whether the request is a CloudEvent, which the handler parses itself."""
    id_has_slashes: bool = False
    """Whether the parameter `id` of the path may contain slashes."""
    allows_search_keys: bool = False
    """Whether API keys with the role `search` may use the route.

    Its use case must then apply `Caller.scope`, so that nothing of other garments can be seen.
    """

    @property
    def accepts_fields(self) -> bool:
        """Whether the route reads fields, from a body or from the query string."""
        return self.request is not None

    @property
    def accepts_photo(self) -> bool:
        """Whether the request has a photo, which may be the body itself."""
        return self.request is not None and issubclass(self.request, requests.PhotoRequest)

    @property
    def accepted_body(self) -> AcceptedBody:
        """The forms of a body that the route accepts."""
        return AcceptedBody(self.accepts_files, self.accepts_photo, self.is_body_optional)


_upload = partial(Route, "upload", "POST", is_job=True)
_relay = partial(Route, "relay")
_detail = partial(Route, "detail")
_cancel = partial(Route, "cancel")
_auth = partial(Route, "auth", "POST")
# fmt: off
ROUTES = (
    _upload("/upload_image", Role.ADMIN, photos.upload_image, responses.UploadResponse, requests.UploadRequest),
    _upload("/upload_single_image", Role.ADMIN, photos.upload_single_image, Segment, requests.UploadSegmentRequest),
    _upload("/splitted_images", Role.ADMIN, photos.add_segment, Segment, requests.NewSegmentRequest,
            extra_error_statuses=(404,)),
    _upload("/recut/<id>", Role.ADMIN, administration.recut_segment, Segment, admin_schemas.RecutRequest,
            extra_error_statuses=(404,)),
    _upload("/split_image", Role.ANYONE, photos.split_image, responses.SplitResponse, requests.SplitRequest,
            allows_search_keys=True),
    _upload("/image/split", Role.ANYONE, photos.image_split, responses.ImageSplitResponse, requests.SplitRequest,
            allows_search_keys=True),
    # not of the function ingest, which is private: only the event trigger can call it
    Route("upload", "POST", "/ingestions/retry", Role.ADMIN, ingestions.retry_ingestions,
          ingestion_schemas.IngestionRetryResponse, ingestion_schemas.IngestionRetryRequest,
          extra_error_statuses=(429, 504), is_body_optional=True),
    # not of relay, whose account may only read the bucket
    Route("upload", "POST", "/index_versions/rollback", Role.ADMIN, administration.roll_back_index,
          responses.DataResponse[admin_schemas.IndexVersion], admin_schemas.RollbackRequest,
          extra_error_statuses=(404, 409)),
    Route("upload", "POST", "/index_versions/rebuild", Role.ADMIN, administration.rebuild_index,
          responses.DataResponse[admin_schemas.RequestedRebuild], status=202, extra_error_statuses=(409,)),
    _upload("/catalog/sync", Role.ADMIN, catalog.sync_catalog, catalog_schemas.CatalogSyncResponse,
            catalog_schemas.CatalogSyncRequest, extra_error_statuses=(404,)),
    _relay("POST", "/relay_image", Role.ANYONE, search.relay_image, responses.RelayResponse, requests.RelayRequest,
           is_job=True, allows_search_keys=True),
    _relay("POST", "/search", Role.ANYONE, search.search, search_schemas.SearchResponse, search_schemas.SearchBody,
           extra_error_statuses=(404,), is_job=True, accepts_files=True, allows_search_keys=True),
    _relay("GET", "/search_history", Role.USER, history.list_searches, responses.SearchHistoryResponse,
           requests.HistoryRequest),
    _relay("DELETE", "/search_history", Role.USER, history.delete_searches, responses.StatusResponse),
    _relay("GET", "/search_history/<id>", Role.USER, history.get_search, PastSearch),
    _relay("DELETE", "/search_history/<id>", Role.USER, history.delete_search, responses.StatusResponse),
    _relay("POST", "/feedback", Role.USER, history.add_feedback, Feedback, history_schemas.FeedbackRequest,
           extra_error_statuses=(404,)),
    _relay("GET", "/index_versions", Role.ADMIN, administration.get_index, admin_schemas.IndexResponse),
    _relay("GET", "/models", Role.ADMIN, administration.get_models, admin_schemas.ModelsResponse),
    _detail("POST", "/image_detail", Role.ANYONE, segments.get_details, responses.DetailsResponse,
            requests.DetailsRequest, extra_error_statuses=(404,), allows_search_keys=True),
    _detail("PUT", "/image_detail/<id>", Role.ADMIN, segments.put_details, responses.ProductDetailsResponse,
            requests.ProductDetailsRequest),
    _detail("GET", "/thumbnails/<id>", Role.ANYONE, segments.get_thumbnail, responses.BaseResponse,
            media_type="image/*", allows_search_keys=True),
    _detail("GET", "/originals/<id>", Role.ADMIN, administration.get_original, responses.BaseResponse,
            media_type="image/jpeg"),
    _detail("GET", "/splitted_images/<id>", Role.ANYONE, segments.get_segment, Segment, allows_search_keys=True),
    _detail("GET", "/splitted_images/by_original/<id>", Role.ANYONE, segments.list_segments_of_photo, Segments,
            allows_search_keys=True),
    _detail("PUT", "/splitted_images/<id>", Role.ADMIN, segments.update_segment, Segment,
            requests.UpdateSegmentRequest),
    _detail("DELETE", "/splitted_images/<id>", Role.ADMIN, erasure.delete_segment, Receipt),
    _detail("DELETE", "/splitted_images/by_original/<id>", Role.ADMIN, erasure.delete_photo, Receipt),
    _detail("POST", "/erase", Role.ADMIN, erasure.erase, Receipt, requests.EraseRequest),
    _detail("GET", "/garments", Role.ANYONE, browse.list_garments, browse_schemas.GarmentsResponse,
            browse_schemas.GarmentsRequest, allows_search_keys=True),
    _detail("GET", "/products", Role.ANYONE, browse.list_products, browse_schemas.ProductsResponse,
            browse_schemas.ProductsRequest, allows_search_keys=True),
    _detail("GET", "/products/<id>", Role.ANYONE, browse.get_product, browse_schemas.ProductResponse,
            browse_schemas.ProductRequest, allows_search_keys=True, id_has_slashes=True),
    _detail("PATCH", "/products/<id>", Role.ADMIN, browse.edit_product, browse_schemas.ProductResponse,
            browse_schemas.ProductEditRequest, extra_error_statuses=(404, 409), id_has_slashes=True),
    _relay("GET", "/duplicates", Role.ADMIN, duplicates.list_duplicates, duplicate_schemas.DuplicatesResponse,
           duplicate_schemas.DuplicatesRequest),
    _detail("PUT", "/duplicates/decisions", Role.ADMIN, duplicates.decide_duplicate, responses.StatusResponse,
            duplicate_schemas.DecisionRequest, extra_error_statuses=(404,)),
    _detail("POST", "/duplicates/merge", Role.ADMIN, duplicates.merge_duplicates, duplicate_schemas.MergeResponse,
            duplicate_schemas.PairRequest, extra_error_statuses=(404, 409)),
    _detail("GET", "/ingestions", Role.ADMIN, ingestions.list_ingestions, ingestion_schemas.IngestionsResponse,
            ingestion_schemas.IngestionsRequest),
    _cancel("POST", "/cancel_request/<id>", Role.OWNER, jobs.cancel_request, responses.StatusResponse,
            extra_error_statuses=(409,), allows_search_keys=True),
    _cancel("POST", "/cancel_processing/<id>", Role.OWNER, jobs.cancel_request, responses.StatusResponse,
            extra_error_statuses=(409,), allows_search_keys=True),
    _cancel("GET", "/request_status/recent", Role.OWNER, jobs.list_recent_requests, responses.RecentJobsResponse,
            allows_search_keys=True),
    _cancel("GET", "/request_status/<id>", Role.OWNER, jobs.get_request_status, responses.JobResponse,
            allows_search_keys=True),
    _cancel("POST", "/cleanup_requests", Role.OWNER, jobs.cleanup_requests, responses.StatusResponse,
            requests.CleanupRequest, is_body_optional=True),
    _cancel("GET", "/jobs", Role.ADMIN, administration.list_running_jobs, admin_schemas.JobsResponse),
    _cancel("GET", "/statistics", Role.ADMIN, administration.get_statistics, admin_schemas.StatisticsResponse),
    _auth("/api/auth/register", Role.OPEN, accounts.register, User, requests.CredentialsRequest, 201, (409, 429)),
    _auth("/api/auth/login", Role.OPEN, accounts.login, Session, requests.CredentialsRequest,
          extra_error_statuses=(429,)),
    _auth("/api/auth/refresh", Role.OPEN, accounts.refresh, Session, requests.RefreshRequest,
          extra_error_statuses=(429,)),
    _auth("/api/auth/logout", Role.USER, accounts.logout, responses.StatusResponse),
    Route("auth", "GET", "/api/auth/user", Role.USER, accounts.get_current_user,
          responses.DataResponse[responses.CurrentUser]),
    Route("auth", "GET", "/accounts", Role.ADMIN, administration.list_accounts, admin_schemas.AccountsResponse,
          admin_schemas.AccountsRequest),
    Route("auth", "GET", "/api_keys", Role.ADMIN, administration.list_keys, admin_schemas.KeysResponse),
    _auth("/api_keys", Role.ADMIN, administration.create_key, admin_schemas.KeyResponse, admin_schemas.NewKeyRequest, 201),
    Route("auth", "DELETE", "/api_keys/<id>", Role.ADMIN, administration.revoke_key, admin_schemas.KeyResponse),
    Route("auth", "GET", "/me/export", Role.USER, personal_data.export_personal_data,
          personal_data_schemas.ExportResponse, personal_data_schemas.ExportRequest),
    Route("auth", "DELETE", "/me", Role.USER, personal_data.erase_account,
          personal_data_schemas.AccountReceiptResponse, personal_data_schemas.EraseAccountRequest,
          extra_error_statuses=(429,)),
    Route("ingest", "POST", "/", Role.PLATFORM, events.handle_storage_event, responses.BaseResponse, status=204,
          accepts_events=True),
    Route("reindex", "POST", "/reindex", Role.PLATFORM, reindex.reindex, responses.ReindexResponse,
          requests.ReindexRequest, 202, (409,), is_body_optional=True),
)
# fmt: on
"""All routes except health checks. Clients of the original system depend on these paths."""
DOCS_PATHS = frozenset({"/openapi.json", "/docs"})
"""Paths of the API documentation, which every function serves."""
READINESS_HANDLERS = {
    "upload": health.check_detection_readiness,
    "relay": health.check_search_readiness,
    "ingest": health.check_detection_readiness,
}
"""Handlers of `/readyz` for the functions that need more than the database."""


def routes_of_function(function: str) -> tuple[Route, ...]:
    """List the routes of a function, including its health checks."""
    check_readiness = READINESS_HANDLERS.get(function, health.check_readiness)
    health_routes = (
        Route(function, "GET", "/healthz", Role.OPEN, health.check_liveness, responses.HealthResponse),
        Route(function, "GET", "/readyz", Role.OPEN, check_readiness, responses.HealthResponse),
    )
    return tuple(route for route in (*ROUTES, *health_routes) if route.function == function)


@cache
def function_url_map(function: str) -> Map:
    """Return the URL map of a function. Its endpoints are `Route` objects."""
    return _url_map([(route, route) for route in routes_of_function(function)])


@cache
def gateway_url_map() -> Map:
    """Return the URL map of all routes. Its endpoints are names of functions. Health checks are not included."""
    return _url_map([(route, route.function) for route in ROUTES])


def match_route(url_map: Map, method: str, path: str) -> tuple[Route | str, dict[str, str]]:
    """Return the endpoint, a route or function name, and the path parameters.

    Raises `NotFound` and `MethodNotAllowed`.
    """
    try:
        endpoint, parameters = url_map.bind("").match(path, method)
    except WerkzeugNotFound:
        raise _no_such_route(path) from None
    except WerkzeugMethodNotAllowed as error:
        allowed = sorted(error.valid_methods or [])
        message = f"The method {method} is not allowed; use {' or '.join(allowed)}"
        raise MethodNotAllowed(message, allowed=allowed) from None
    return endpoint, dict(parameters)


def allowed_methods(url_map: Map, path: str) -> list[str]:
    """List the methods that a path supports, without HEAD and OPTIONS. Raises `NotFound`."""
    methods = set(url_map.bind("").allowed_methods(path)) - {"HEAD", "OPTIONS"}
    if not methods:
        raise _no_such_route(path)
    return sorted(methods)


def route_pattern(url_map: Map, method: str, path: str) -> str:
    """Return the pattern that a path matches, with this method or another one, or "" if there is none."""
    if path in DOCS_PATHS or path == WIDGET_PATH:
        return path
    adapter = url_map.bind("")
    methods = adapter.allowed_methods(path)
    if not methods:
        return ""
    rule, _ = adapter.match(path, method if method in methods else min(methods), return_rule=True)
    return str(rule.rule).replace("<path:", "<")


def _no_such_route(path: str) -> NotFound:
    return NotFound(f"No such route: {path[:200]}")


def _rule_path(route: Route) -> str:
    return route.path.replace("<id>", "<path:id>") if route.id_has_slashes else route.path


def _url_map(pairs: list[tuple[Route, Route | str]]) -> Map:
    rules = [Rule(_rule_path(route), methods=[route.method], endpoint=endpoint) for route, endpoint in pairs]
    # Without these options, werkzeug would redirect paths with a trailing or double slash. A redirected POST can lose
    # its body.
    return Map(rules, strict_slashes=False, merge_slashes=False)

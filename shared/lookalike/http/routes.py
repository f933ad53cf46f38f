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
from lookalike.domain.model import ProductDetails
from lookalike.http import request_schemas as requests
from lookalike.http import response_schemas as responses
from lookalike.http.handlers import accounts, erasure, events, history, jobs, maintenance, photos, search, segments
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, RequestBody

Segment = responses.DataResponse[responses.Segment]
Segments = responses.DataResponse[list[responses.Segment]]
Details = responses.DataResponse[ProductDetails]
Receipt = responses.DataResponse[responses.Receipt]
User = responses.DataResponse[responses.User]
Session = responses.DataResponse[responses.Session]


class Role(Enum):
    """Who may call a route."""

    OPEN = auto()
    """Anyone, always. Tokens are ignored: for sign-in and health checks."""
    ANYONE = auto()
    """Anyone, unless SEARCH_NEEDS_SIGN_IN is set."""
    OWNER = auto()
    """Anyone, but the use case shows callers only what is theirs."""
    USER = auto()
    """Signed-in users."""
    ADMIN = auto()
    """Administrators."""
    PLATFORM = auto()
    """Event trigger and scheduler, and administrators. On a development server also local processes."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route of one function.

    `request` is the schema of the request's fields, `None` if none are read; `response` that of a successful response.
    `statuses` lists error statuses of this route alone; `openapi` adds those that all routes of its kind have.
    """

    function: str
    method: str
    path: str
    role: Role
    handler: Callable[[Services, ApiRequest], HandlerResult]
    response: type[BaseModel]
    request: type[RequestBody] | None = None
    status: int = 200
    statuses: tuple[int, ...] = ()
    is_job: bool = False
    media: str = "application/json"

    @property
    def has_body(self) -> bool:
        """Whether the route reads fields, from a body or from the query string."""
        return self.request is not None


_upload = partial(Route, "upload", "POST", is_job=True)
_relay = partial(Route, "relay")
_detail = partial(Route, "detail")
_cancel = partial(Route, "cancel")
_auth = partial(Route, "auth", "POST")
# fmt: off
ROUTES = (
    _upload("/upload_image", Role.ADMIN, photos.upload_image, responses.UploadResponse, requests.UploadRequest),
    _upload("/upload_single_image", Role.ADMIN, photos.upload_single_image, Segment, requests.UploadSegmentRequest),
    _upload("/splitted_images", Role.ADMIN, photos.add_segment, Segment, requests.NewSegmentRequest, statuses=(404,)),
    _upload("/split_image", Role.ANYONE, photos.split_image, responses.SplitResponse, requests.SplitRequest),
    _upload("/image/split", Role.ANYONE, photos.image_split, responses.ImageSplitResponse, requests.SplitRequest),
    _relay("POST", "/relay_image", Role.ANYONE, search.relay_image, responses.RelayResponse, requests.RelayRequest,
           is_job=True),
    _relay("GET", "/search_history", Role.USER, history.list_searches, responses.SearchHistoryResponse,
           requests.HistoryRequest),
    _relay("DELETE", "/search_history", Role.USER, history.delete_searches, responses.StatusResponse),
    _relay("GET", "/search_history/<id>", Role.USER, history.get_search, responses.DataResponse[responses.PastSearch]),
    _relay("DELETE", "/search_history/<id>", Role.USER, history.delete_search, responses.StatusResponse),
    _detail("POST", "/image_detail", Role.ANYONE, segments.get_details, responses.DetailsResponse,
            requests.DetailsRequest, statuses=(404,)),
    _detail("PUT", "/image_detail/<id>", Role.ADMIN, segments.put_details, Details, requests.ProductDetailsRequest),
    _detail("GET", "/thumbnails/<id>", Role.ANYONE, segments.get_thumbnail, responses.BaseResponse, media="image/*"),
    _detail("GET", "/splitted_images/<id>", Role.ANYONE, segments.get_segment, Segment),
    _detail("GET", "/splitted_images/by_original/<id>", Role.ANYONE, segments.list_segments_of_photo, Segments),
    _detail("PUT", "/splitted_images/<id>", Role.ADMIN, segments.update_segment, Segment, requests.UpdateSegmentRequest),
    _detail("DELETE", "/splitted_images/<id>", Role.ADMIN, erasure.delete_segment, Receipt),
    _detail("DELETE", "/splitted_images/by_original/<id>", Role.ADMIN, erasure.delete_photo, Receipt),
    _detail("POST", "/erase", Role.ADMIN, erasure.erase, Receipt, requests.EraseRequest),
    _cancel("POST", "/cancel_request/<id>", Role.OWNER, jobs.cancel_request, responses.StatusResponse, statuses=(409,)),
    _cancel("POST", "/cancel_processing/<id>", Role.OWNER, jobs.cancel_request, responses.StatusResponse,
            statuses=(409,)),
    _cancel("GET", "/request_status/recent", Role.OWNER, jobs.list_recent_requests, responses.RecentJobsResponse),
    _cancel("GET", "/request_status/<id>", Role.OWNER, jobs.get_request_status, responses.JobResponse),
    _cancel("POST", "/cleanup_requests", Role.OWNER, jobs.cleanup_requests, responses.StatusResponse,
            requests.CleanupRequest),
    _auth("/api/auth/register", Role.OPEN, accounts.register, User, requests.CredentialsRequest, 201, (409, 429)),
    _auth("/api/auth/login", Role.OPEN, accounts.login, Session, requests.CredentialsRequest, statuses=(429,)),
    _auth("/api/auth/refresh", Role.OPEN, accounts.refresh, Session, requests.RefreshRequest, statuses=(429,)),
    _auth("/api/auth/logout", Role.USER, accounts.logout, responses.StatusResponse),
    Route("auth", "GET", "/api/auth/user", Role.USER, accounts.get_current_user,
          responses.DataResponse[responses.CurrentUser]),
    Route("ingest", "POST", "/", Role.PLATFORM, events.handle_storage_event, responses.BaseResponse, status=204),
    Route("reindex", "POST", "/reindex", Role.PLATFORM, maintenance.reindex, responses.ReindexResponse,
          requests.ReindexRequest, 202, (409,)),
)
# fmt: on
READINESS_HANDLERS = {
    "upload": maintenance.is_ready_to_detect,
    "relay": maintenance.is_ready_to_search,
    "ingest": maintenance.is_ready_to_detect,
}


def own_routes(function: str) -> tuple[Route, ...]:
    """List the routes of a function, including its health checks."""
    is_ready = READINESS_HANDLERS.get(function, maintenance.is_ready)
    health = (
        Route(function, "GET", "/healthz", Role.OPEN, maintenance.is_alive, responses.HealthResponse),
        Route(function, "GET", "/readyz", Role.OPEN, is_ready, responses.HealthResponse),
    )
    return tuple(route for route in (*ROUTES, *health) if route.function == function)


@cache
def function_routes(function: str) -> Map:
    """The URL map of a function, whose endpoints are the routes."""
    return _url_map([(route, route) for route in own_routes(function)])


@cache
def route_functions() -> Map:
    """The URL map of all routes, whose endpoints are the names of their functions."""
    return _url_map([(route, route.function) for route in ROUTES])


def match_route(routes: Map, method: str, path: str) -> tuple[Route | str, dict[str, str]]:
    """Return the endpoint (route or function name) and the path parameters. Raises `NotFound` and `MethodNotAllowed`."""
    try:
        endpoint, parameters = routes.bind("").match(path, method)
    except WerkzeugNotFound:
        raise NotFound(f"No such route: {path[:200]}") from None
    except WerkzeugMethodNotAllowed as error:
        allowed = sorted(error.valid_methods or [])
        raise MethodNotAllowed(
            f"The method {method} is not allowed; use {' or '.join(allowed)}", allowed=allowed
        ) from None
    return endpoint, dict(parameters)


def allowed_methods(routes: Map, path: str) -> list[str]:
    """List the methods that a path supports. Raises `NotFound`."""
    methods = set(routes.bind("").allowed_methods(path)) - {"HEAD", "OPTIONS"}
    if not methods:
        raise NotFound(f"No such route: {path[:200]}")
    return sorted(methods)


def _url_map(pairs: list[tuple[Route, Route | str]]) -> Map:
    rules = [Rule(route.path, methods=[route.method], endpoint=endpoint) for route, endpoint in pairs]
    return Map(rules, strict_slashes=False, merge_slashes=False)

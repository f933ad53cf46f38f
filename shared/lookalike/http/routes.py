"""Every route, whose it is and who may call it: the one table."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, partial

from pydantic import BaseModel
from werkzeug.exceptions import MethodNotAllowed as WrongMethod
from werkzeug.exceptions import NotFound as NoRoute
from werkzeug.routing import Map, Rule

from lookalike.bootstrap import Services
from lookalike.domain.errors import MethodNotAllowed, NotFound
from lookalike.domain.model import ProductDetails
from lookalike.http import accounts, erasure, history
from lookalike.http import handlers as to
from lookalike.http import request_schemas as asks
from lookalike.http import response_schemas as says
from lookalike.http.events import storage_event
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult, RequestBody

Segment = says.DataResponse[says.Segment]
Segments = says.DataResponse[list[says.Segment]]
Receipt = says.DataResponse[says.Receipt]
NewUser = says.DataResponse[says.User]
Session = says.DataResponse[says.Session]


class Role(Enum):
    OPEN = auto()
    """Anyone, always: to sign in, and whether an instance is alive. What a request says of its caller is not looked at."""
    ANYONE = auto()
    """Anyone, unless SEARCH_NEEDS_SIGN_IN."""
    OWNER = auto()
    """Anyone; the use case shows each caller their own alone."""
    USER = auto()
    ADMIN = auto()
    PLATFORM = auto()
    """An administrator, or whoever runs the machine: in local emulation, from the machine itself."""


@dataclass(frozen=True, slots=True)
class Route:
    """`body` is the schema of what is asked, none where nothing is read; `answer` that of a good answer.

    `statuses`: errors that are this route's own; `openapi` adds those that any such route may meet.
    """

    function: str
    method: str
    path: str
    role: Role
    handler: Callable[[Services, ApiRequest], HandlerResult]
    answer: type[BaseModel]
    body: type[RequestBody] | None = None
    status: int = 200
    statuses: tuple[int, ...] = ()
    is_job: bool = False
    media: str = "application/json"

    @property
    def has_body(self) -> bool:
        return self.body is not None


_photos = partial(Route, "upload", "POST", is_job=True)
_search = partial(Route, "relay")
_items = partial(Route, "detail")
_jobs = partial(Route, "cancel")
_auth = partial(Route, "auth", "POST")
ROUTES = (
    _photos("/upload_image", Role.ADMIN, to.upload_image, says.UploadResponse, asks.UploadRequest),
    _photos("/upload_single_image", Role.ADMIN, to.upload_single_image, Segment, asks.UploadSegmentRequest),
    _photos("/splitted_images", Role.ADMIN, to.add_segment, Segment, asks.NewSegmentRequest, statuses=(404,)),
    _photos("/split_image", Role.ANYONE, to.split_image, says.SplitResponse, asks.SplitRequest),
    _photos("/image/split", Role.ANYONE, to.image_split, says.ImageSplitResponse, asks.SplitRequest),
    _search("POST", "/relay_image", Role.ANYONE, to.relay_image, says.RelayResponse, asks.RelayRequest, is_job=True),
    _search(
        "GET", "/search_history", Role.USER, history.list_searches, says.SearchHistoryResponse, asks.HistoryRequest
    ),
    _search("DELETE", "/search_history", Role.USER, history.forget_searches, says.StatusResponse),
    _search("GET", "/search_history/<id>", Role.USER, history.get_search, says.DataResponse[says.PastSearch]),
    _search("DELETE", "/search_history/<id>", Role.USER, history.forget_search, says.StatusResponse),
    _items(
        "POST",
        "/image_detail",
        Role.ANYONE,
        to.image_detail,
        says.DetailsResponse,
        asks.DetailsRequest,
        statuses=(404,),
    ),
    _items(
        "PUT",
        "/image_detail/<id>",
        Role.ADMIN,
        to.put_detail,
        says.DataResponse[ProductDetails],
        asks.ProductDetailsRequest,
    ),
    _items("GET", "/thumbnails/<id>", Role.ANYONE, to.thumbnail, says.BaseResponse, media="image/*"),
    _items("GET", "/splitted_images/<id>", Role.ANYONE, to.get_segment, Segment),
    _items("GET", "/splitted_images/by_original/<id>", Role.ANYONE, to.segments_of_photo, Segments),
    _items("PUT", "/splitted_images/<id>", Role.ADMIN, to.describe_segment, Segment, asks.UpdateSegmentRequest),
    _items("DELETE", "/splitted_images/<id>", Role.ADMIN, erasure.delete_segment, Receipt),
    _items("DELETE", "/splitted_images/by_original/<id>", Role.ADMIN, erasure.delete_photo, Receipt),
    _items("POST", "/erase", Role.ADMIN, erasure.erase, Receipt, asks.EraseRequest),
    _jobs("POST", "/cancel_request/<id>", Role.OWNER, to.cancel, says.StatusResponse, statuses=(409,)),
    _jobs("POST", "/cancel_processing/<id>", Role.OWNER, to.cancel, says.StatusResponse, statuses=(409,)),
    _jobs("GET", "/request_status/recent", Role.OWNER, to.recent, says.RecentJobsResponse),
    _jobs("GET", "/request_status/<id>", Role.OWNER, to.request_status, says.JobResponse),
    _jobs("POST", "/cleanup_requests", Role.OWNER, to.clean, says.StatusResponse, asks.CleanupRequest),
    _auth("/api/auth/register", Role.OPEN, accounts.register, NewUser, asks.CredentialsRequest, 201, (409, 429)),
    _auth("/api/auth/login", Role.OPEN, accounts.login, Session, asks.CredentialsRequest, statuses=(429,)),
    _auth("/api/auth/refresh", Role.OPEN, accounts.refresh, Session, asks.RefreshRequest, statuses=(429,)),
    _auth("/api/auth/logout", Role.USER, accounts.logout, says.StatusResponse),
    Route("auth", "GET", "/api/auth/user", Role.USER, accounts.whoami, says.DataResponse[says.CurrentUser]),
    Route("ingest", "POST", "/", Role.PLATFORM, storage_event, says.BaseResponse, status=204),
    Route(
        "reindex", "POST", "/reindex", Role.PLATFORM, to.reindex, says.ReindexResponse, asks.ReindexRequest, 202, (409,)
    ),
)
READY = {"upload": to.ready_to_look, "relay": to.ready_to_search, "ingest": to.ready_to_look}


def own_routes(function: str) -> tuple[Route, ...]:
    """The function's, its health checks among them."""
    ready = READY.get(function, to.ready)
    health = (
        Route(function, "GET", "/healthz", Role.OPEN, to.alive, says.HealthResponse),
        Route(function, "GET", "/readyz", Role.OPEN, ready, says.HealthResponse),
    )
    return tuple(route for route in (*ROUTES, *health) if route.function == function)


@cache
def function_routes(function: str) -> Map:
    return _map([(route, route) for route in own_routes(function)])


@cache
def route_functions() -> Map:
    """Which function a path belongs to."""
    return _map([(route, route.function) for route in ROUTES])


def match_route(routes: Map, method: str, path: str) -> tuple[Route | str, dict[str, str]]:
    """The route or function and the parts of the path. Raises `NotFound` and `MethodNotAllowed`."""
    try:
        found, parts = routes.bind("").match(path, method)
    except NoRoute:
        raise NotFound(f"No such address: {path[:200]}") from None
    except WrongMethod as error:
        allowed = sorted(error.valid_methods or [])
        raise MethodNotAllowed(f"{method} is not allowed here: use {' or '.join(allowed)}", allowed=allowed) from None
    return found, dict(parts)


def allowed_methods(routes: Map, path: str) -> list[str]:
    """Those that the path knows. Raises `NotFound`."""
    found = set(routes.bind("").allowed_methods(path)) - {"HEAD", "OPTIONS"}
    if not found:
        raise NotFound(f"No such address: {path[:200]}")
    return sorted(found)


def _map(pairs: list[tuple[Route, Route | str]]) -> Map:
    rules = [Rule(route.path, methods=[route.method], endpoint=endpoint) for route, endpoint in pairs]
    return Map(rules, strict_slashes=False, merge_slashes=False)

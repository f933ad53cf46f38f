"""Every route, whose it is and who may call it: the one table."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

from werkzeug.exceptions import MethodNotAllowed as WrongMethod
from werkzeug.exceptions import NotFound as NoRoute
from werkzeug.routing import Map, Rule

from lookalike.bootstrap import Services
from lookalike.domain.errors import MethodNotAllowed, NotFound
from lookalike.http import accounts, erasing, history
from lookalike.http import handlers as to
from lookalike.http.asking import Asked
from lookalike.http.bodies import Answer
from lookalike.http.events import storage_event


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
    function: str
    method: str
    path: str
    role: Role
    handler: Callable[[Services, Asked], Answer]
    has_body: bool = True


ROUTES = (
    Route("upload", "POST", "/upload_image", Role.ADMIN, to.upload_image),
    Route("upload", "POST", "/upload_single_image", Role.ADMIN, to.upload_single_image),
    Route("upload", "POST", "/split_image", Role.ANYONE, to.split_image),
    Route("upload", "POST", "/image/split", Role.ANYONE, to.image_split),
    Route("upload", "POST", "/splitted_images", Role.ADMIN, to.add_segment),
    Route("relay", "POST", "/relay_image", Role.ANYONE, to.relay_image),
    Route("relay", "GET", "/search_history", Role.USER, history.list_searches),
    Route("relay", "DELETE", "/search_history", Role.USER, history.forget_searches, has_body=False),
    Route("relay", "GET", "/search_history/<id>", Role.USER, history.get_search),
    Route("relay", "DELETE", "/search_history/<id>", Role.USER, history.forget_search, has_body=False),
    Route("detail", "POST", "/image_detail", Role.ANYONE, to.image_detail),
    Route("detail", "PUT", "/image_detail/<id>", Role.ADMIN, to.put_detail),
    Route("detail", "GET", "/thumbnails/<id>", Role.ANYONE, to.thumbnail),
    Route("detail", "GET", "/splitted_images/<id>", Role.ANYONE, to.get_segment),
    Route("detail", "GET", "/splitted_images/by_original/<id>", Role.ANYONE, to.segments_of_photo),
    Route("detail", "PUT", "/splitted_images/<id>", Role.ADMIN, to.describe_segment),
    Route("detail", "DELETE", "/splitted_images/<id>", Role.ADMIN, erasing.delete_segment),
    Route("detail", "DELETE", "/splitted_images/by_original/<id>", Role.ADMIN, erasing.delete_photo),
    Route("detail", "POST", "/erase", Role.ADMIN, erasing.erase),
    Route("cancel", "POST", "/cancel_request/<id>", Role.OWNER, to.cancel, has_body=False),
    Route("cancel", "POST", "/cancel_processing/<id>", Role.OWNER, to.cancel, has_body=False),
    Route("cancel", "GET", "/request_status/recent", Role.OWNER, to.recent),
    Route("cancel", "GET", "/request_status/<id>", Role.OWNER, to.request_status),
    Route("cancel", "POST", "/cleanup_requests", Role.OWNER, to.clean),
    Route("auth", "POST", "/api/auth/register", Role.OPEN, accounts.register),
    Route("auth", "POST", "/api/auth/login", Role.OPEN, accounts.login),
    Route("auth", "POST", "/api/auth/refresh", Role.OPEN, accounts.refresh),
    Route("auth", "POST", "/api/auth/logout", Role.USER, accounts.logout),
    Route("auth", "GET", "/api/auth/user", Role.USER, accounts.whoami),
    Route("ingest", "POST", "/", Role.PLATFORM, storage_event, has_body=False),
    Route("reindex", "POST", "/reindex", Role.PLATFORM, to.reindex),
)
READY = {"upload": to.ready_to_look, "relay": to.ready_to_search, "ingest": to.ready_to_look}


@cache
def routes_of(function: str) -> Map:
    """The function's routes, its health checks among them."""
    ready = READY.get(function, to.ready)
    health = (
        Route(function, "GET", "/healthz", Role.OPEN, to.alive),
        Route(function, "GET", "/readyz", Role.OPEN, ready),
    )
    own = [route for route in (*ROUTES, *health) if route.function == function]
    return _map([(route, route) for route in own])


@cache
def functions() -> Map:
    """Which function a path belongs to."""
    return _map([(route, route.function) for route in ROUTES])


def match(routes: Map, method: str, path: str) -> tuple[Route | str, dict[str, str]]:
    """The route or function and the parts of the path. Raises `NotFound` and `MethodNotAllowed`."""
    try:
        found, parts = routes.bind("").match(path, method)
    except NoRoute:
        raise NotFound(f"No such address: {path[:200]}") from None
    except WrongMethod as error:
        allowed = sorted(error.valid_methods or [])
        raise MethodNotAllowed(f"{method} is not allowed here: use {' or '.join(allowed)}", allowed=allowed) from None
    return found, dict(parts)


def methods_of(routes: Map, path: str) -> list[str]:
    """Those that the path knows. Raises `NotFound`."""
    found = set(routes.bind("").allowed_methods(path)) - {"HEAD", "OPTIONS"}
    if not found:
        raise NotFound(f"No such address: {path[:200]}")
    return sorted(found)


def _map(pairs: list[tuple[Route, Route | str]]) -> Map:
    rules = [Rule(route.path, methods=[route.method], endpoint=endpoint) for route, endpoint in pairs]
    return Map(rules, strict_slashes=False, merge_slashes=False)

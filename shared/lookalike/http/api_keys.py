"""Requests with an API key: authentication, and the routes that search keys may call."""

from functools import lru_cache

from pydantic import ValidationError

from lookalike.bootstrap import Services
from lookalike.domain.api_keys import KeyRole
from lookalike.domain.errors import Forbidden
from lookalike.domain.filter import Filter
from lookalike.domain.model import Caller
from lookalike.http.request_schemas import FilteredRequest
from lookalike.http.routes import Role, Route


def authenticate_key(services: Services, text: str, origin: str, address: str) -> Caller:
    """Return the caller with this API key. Raises `Unauthenticated` and `Forbidden`.

    `origin` is the header `Origin` of the request, or "".
    """
    key = services.api_keys.verify(text, origin)
    is_admin = key.role is KeyRole.ADMIN
    return Caller(None, is_admin, address, key=key, scope=parse_scope(key.filter_json))


@lru_cache(1000)
def parse_scope(filter_json: str) -> Filter:
    """Return the conditions of a key's filter. Raises `Forbidden` if this version does not know one of its fields."""
    try:
        return FilteredRequest.model_validate({"filter": filter_json}).conditions()
    except ValidationError:
        message = "The filter of the API key is not valid in this version of the server: ask the operator for a new key"
        raise Forbidden(message) from None


def authorize_key(caller: Caller, route: Route) -> None:
    """Raise `Forbidden` if the API key of the caller may not be used for the route."""
    if route.role is Role.USER:
        raise Forbidden("This route is for signed-in users: API keys have no account. Sign in and send your token")
    if not (caller.is_admin or route.allows_search_keys):
        raise Forbidden("An API key with the role search may only be used for searches; this route needs another role")

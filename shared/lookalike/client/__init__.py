"""Client of the HTTP API. It needs the extra `client`: `pip install 'lookalike[client]'`.

Imports nothing of the server, so that programs can use it without models and databases.
"""

try:
    import httpx  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("lookalike.client needs httpx: pip install 'lookalike[client]'", name="httpx") from error

from lookalike.client.asynchronous import AsyncClient
from lookalike.client.errors import (
    ApiError,
    BadRequest,
    Busy,
    Cancelled,
    ClientError,
    Conflict,
    ConnectionFailed,
    DeadlineExceeded,
    Forbidden,
    InternalError,
    InvalidField,
    InvalidImage,
    MethodNotAllowed,
    Misconfigured,
    NotFound,
    RateLimited,
    ResponseTimeout,
    TooLarge,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
    UnexpectedResponse,
    UnsupportedFormat,
    Untrusted,
)
from lookalike.client.retries import RetryPolicy
from lookalike.client.search_bodies import Example
from lookalike.client.synchronous import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "BadRequest",
    "Busy",
    "Cancelled",
    "Client",
    "ClientError",
    "Conflict",
    "ConnectionFailed",
    "DeadlineExceeded",
    "Example",
    "Forbidden",
    "InternalError",
    "InvalidField",
    "InvalidImage",
    "MethodNotAllowed",
    "Misconfigured",
    "NotFound",
    "RateLimited",
    "ResponseTimeout",
    "RetryPolicy",
    "TooLarge",
    "TooManyAttempts",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedResponse",
    "UnsupportedFormat",
    "Untrusted",
]

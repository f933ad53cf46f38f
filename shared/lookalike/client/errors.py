"""Errors of the client. Each error of the server has a class, chosen by the stable code of the response."""

from typing import Any, ClassVar

import httpx


class ClientError(Exception):
    """Base class of all errors that the client raises."""


class ConnectionFailed(ClientError):
    """The server cannot be reached, or the connection broke before the response was complete."""


class ResponseTimeout(ClientError):
    """The server did not respond in time. A job that was under way is canceled on the server."""


class UnexpectedResponse(ClientError):
    """The response is not one of this API, or cannot be decoded.

    Another program answers at that address, or a newer version of the server.
    """


class ApiError(ClientError):
    """An error response. Its class is that of the code, or this one if the client does not know the code."""

    code: ClassVar[str] = ""

    def __init__(self, message: str, status: int, error_code: str, details: dict[str, Any], request_id: str) -> None:
        super().__init__(f"{message} ({error_code}, request {request_id})" if request_id else message)
        self.message = message
        """Text for people. It may change between versions."""
        self.status = status
        """HTTP status."""
        self.error_code = error_code
        """Stable code of the server, such as `not_found`."""
        self.details = details
        """Values that belong to the error, such as `field`."""
        self.request_id = request_id
        """By this, the operator finds the request in the server's log."""


class BadRequest(ApiError):
    """The request cannot be understood."""

    code = "bad_request"


class InvalidImage(ApiError):
    """The bytes are not an image, or the image is damaged."""

    code = "invalid_image"


class InvalidField(ApiError):
    """A field is missing, has the wrong type or is out of range."""

    code = "invalid_field"

    @property
    def field(self) -> str:
        """Name of the field."""
        return str(self.details.get("field", ""))


class Unauthenticated(ApiError):
    """There is no token or key, or it is invalid, expired or revoked."""

    code = "unauthenticated"


class Forbidden(ApiError):
    """The token or key is valid, but the role is missing."""

    code = "forbidden"


class NotFound(ApiError):
    """There is no such object, or you may not see it."""

    code = "not_found"


class MethodNotAllowed(ApiError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"


class Conflict(ApiError):
    """Another object has that name, or it is too late."""

    code = "conflict"


class TooLarge(ApiError):
    """The request has too many bytes or pixels."""

    code = "too_large"


class UnsupportedFormat(ApiError):
    """The server does not accept this image format or content type."""

    code = "unsupported_format"


class Busy(ApiError):
    """The queue for the models is full."""

    code = "busy"


class RateLimited(ApiError):
    """There were too many requests a minute with this API key, or from this address."""

    code = "rate_limited"


class TooManyAttempts(ApiError):
    """There were too many attempts to sign in or to register."""

    code = "too_many_attempts"


class Unavailable(ApiError):
    """The database, the bucket or the index is temporarily unavailable."""

    code = "unavailable"


class DeadlineExceeded(ApiError):
    """The request ran out of time on the server. Nothing was stored."""

    code = "deadline_exceeded"


class Cancelled(ApiError):
    """The request was canceled. Nothing was stored."""

    code = "cancelled"


class InternalError(ApiError):
    """An unexpected error of the server. Its log has the details under the request id."""

    code = "internal"


class Misconfigured(ApiError):
    """A setting of the server is wrong or missing."""

    code = "misconfigured"


class Untrusted(ApiError):
    """An index version of the server failed its signature or checksum."""

    code = "untrusted_index"


ERROR_CLASSES = {kind.code: kind for kind in ApiError.__subclasses__()}
"""Classes by code."""


def find_error(response: httpx.Response) -> ApiError | None:
    """Return the error that a response contains, `None` for a success.

    A canceled request has status 200. Errors of proxies and of the host have no code.
    """
    try:
        body = response.json() if "json" in response.headers.get("Content-Type", "") else None
    except ValueError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(body, dict) and isinstance(error, dict):
        code = str(error.get("code", ""))
        details = error.get("details") or {}
        message, request_id = str(body.get("message", "")), str(body.get("request_id", ""))
        return ERROR_CLASSES.get(code, ApiError)(message, response.status_code, code, details, request_id)
    if response.is_success:
        return None
    text = f"HTTP {response.status_code} {response.reason_phrase} from {response.url}, without an error code"
    return ApiError(text, response.status_code, "", {}, response.headers.get("X-Request-Id", ""))

"""Errors that callers see. Each class has an HTTP status and a stable code for the error response."""

from typing import ClassVar


class LookalikeError(Exception):
    """Base class of all expected errors. Callers get the message and `details`, which must not contain secrets."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    status_text: ClassVar[str] = "error"
    """Value of `status` in the response body, which clients of the original system read."""
    retry_after: int | None = None
    """Seconds after which a retry can succeed, `None` if a retry is pointless. Sent as `Retry-After`."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class BadRequest(LookalikeError):
    """The request is malformed."""

    status, code = 400, "bad_request"


class InvalidField(LookalikeError):
    """A field is missing, has the wrong type or is out of range. `details` contains its name as `field`."""

    status, code = 422, "invalid_field"


class InvalidImage(LookalikeError):
    """The bytes are not an image, or the image is damaged."""

    status, code = 400, "invalid_image"


class UnsupportedFormat(LookalikeError):
    """The image format or the content type of the body is not supported."""

    status, code = 415, "unsupported_format"


class TooLarge(LookalikeError):
    """The body has too many bytes, or the image too many pixels."""

    status, code = 413, "too_large"


class Unauthenticated(LookalikeError):
    """The token or the credentials are missing, invalid or expired."""

    status, code = 401, "unauthenticated"


class Forbidden(LookalikeError):
    """The caller is known but not permitted to do this."""

    status, code = 403, "forbidden"


class NotFound(LookalikeError):
    """The object does not exist, or the caller may not see it."""

    status, code, status_text = 404, "not_found", "not_found"


class MethodNotAllowed(LookalikeError):
    """The path exists, but not with this method."""

    status, code = 405, "method_not_allowed"


class Conflict(LookalikeError):
    """The name is taken, or the current state does not permit the change."""

    status, code = 409, "conflict"


class Cancelled(LookalikeError):
    """The caller cancelled the request. Status 200, because clients of the original system read `status: cancelled`."""

    status, code, status_text = 200, "cancelled", "cancelled"


class Busy(LookalikeError):
    """The queue for the models is full."""

    status, code, retry_after = 429, "busy", 2


class TooManyAttempts(LookalikeError):
    """The rate limit of the client's address or of the account is exceeded."""

    status, code, retry_after = 429, "too_many_attempts", 900


class RateLimited(LookalikeError):
    """A limit of requests a minute is exceeded: that of an API key, or that of the client's address."""

    status, code = 429, "rate_limited"

    def __init__(self, message: str, retry_after: int, **details: object) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class DeadlineExceeded(LookalikeError):
    """The request exceeded its time limit. Nothing was stored."""

    status, code = 504, "deadline_exceeded"


class Unavailable(LookalikeError):
    """A service is temporarily unavailable: the database, the store, or an index that is not loaded yet."""

    status, code, retry_after = 503, "unavailable", 5


class Untrusted(LookalikeError):
    """An index version has an invalid signature, checksum or format."""

    code = "untrusted_index"


class Misconfigured(LookalikeError):
    """A setting is wrong, unknown or missing, and the message names it. Raised at startup in most cases."""

    code = "misconfigured"

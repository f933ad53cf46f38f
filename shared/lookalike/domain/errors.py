"""Everything that can go wrong for a caller. Each error has a status and a stable code; `http` alone turns them into answers."""

from typing import ClassVar


class LookalikeError(Exception):
    """The root. `details` is shown to the caller and must hold nothing secret."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    status_text: ClassVar[str] = "error"
    """What stands under `status` in the answer, where clients of the original look."""
    retry_after: ClassVar[int | None] = None
    """Seconds after which it is worth coming again, if it is."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class BadRequest(LookalikeError):
    """The request cannot be understood."""

    status, code = 400, "bad_request"


class InvalidField(LookalikeError):
    """A field has the wrong type or is out of range; `details` names it."""

    status, code = 422, "invalid_field"


class InvalidImage(LookalikeError):
    """The bytes are not a photo, or a broken one."""

    status, code = 400, "invalid_image"


class UnsupportedFormat(LookalikeError):
    """An image, but of a format that is not accepted; or a body of another content type."""

    status, code = 415, "unsupported_format"


class TooLarge(LookalikeError):
    """More bytes or pixels than are accepted."""

    status, code = 413, "too_large"


class Unauthenticated(LookalikeError):
    """No token, or one that does not hold."""

    status, code = 401, "unauthenticated"


class Forbidden(LookalikeError):
    """A valid token, but not of someone who may do this."""

    status, code = 403, "forbidden"


class NotFound(LookalikeError):
    """No such thing, or none that the caller may see."""

    status, code, status_text = 404, "not_found", "not_found"


class MethodNotAllowed(LookalikeError):
    """The route exists, but not for this method."""

    status, code = 405, "method_not_allowed"


class Conflict(LookalikeError):
    """Another thing of that name exists, or it is too late."""

    status, code = 409, "conflict"


class Cancelled(LookalikeError):
    """The caller asked for it: answered with 200 and `status: cancelled`, where the original's client looks."""

    status, code, status_text = 200, "cancelled", "cancelled"


class Busy(LookalikeError):
    """The queue for the models is full."""

    status, code, retry_after = 429, "busy", 2


class TooManyAttempts(LookalikeError):
    """Tried too often, by this address or for this account."""

    status, code, retry_after = 429, "too_many_attempts", 900


class DeadlineExceeded(LookalikeError):
    """The request ran out of time; nothing of it was stored."""

    status, code = 504, "deadline_exceeded"


class Unavailable(LookalikeError):
    """Something outside is away for now: a database, a store, an index that is not built yet."""

    status, code, retry_after = 503, "unavailable", 5


class Untrusted(LookalikeError):
    """An index version that fails its signature, checksums or format."""

    code = "untrusted_index"


class Misconfigured(LookalikeError):
    """A setting is wrong, unknown or missing; raised at the start, by name."""

    code = "misconfigured"

"""Port of pictures at addresses on the web."""

from dataclasses import dataclass, field
from typing import Protocol

from lookalike.domain.cancel import CancelToken


@dataclass(frozen=True, slots=True)
class Validators:
    """Values of HTTP caching (RFC 9110, section 8.8) that a server sent with a picture."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class FetchedPicture:
    """A fetched picture."""

    data: bytes = field(repr=False)
    validators: Validators = field(default_factory=Validators)


class PictureFetcher(Protocol):
    """Fetches pictures by http and https. Safe to use from several threads; limits the requests to one host."""

    def fetch(self, address: str, known: Validators, cancel: CancelToken) -> FetchedPicture | None:
        """Return the picture, or `None` if it has not changed since the server sent the known validators.

        Raises `Forbidden` for an address that may not be fetched, `NotFound`, `TooLarge`, `UnsupportedFormat` for a
        response that is not an image, `InvalidField` for an address that cannot be used, `Unavailable` if the server
        cannot be reached after retries, and `Cancelled` or `DeadlineExceeded`.
        """
        ...

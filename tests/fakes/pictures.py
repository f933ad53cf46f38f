"""Pictures in memory."""

import hashlib
from dataclasses import dataclass, field

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import LookalikeError, NotFound
from lookalike.domain.ports.pictures import FetchedPicture, Validators
from lookalike.domain.web_address import parse_web_address


@dataclass
class FakePictures:
    """Fake of the port `PictureFetcher`: pictures by address, with an ETag made of their content.

    `errors`: raised for an address. `fetched`: addresses of pictures that were sent, not only confirmed as unchanged.
    """

    pictures: dict[str, bytes] = field(default_factory=dict)
    errors: dict[str, LookalikeError] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    def fetch(self, address: str, known: Validators, cancel: CancelToken) -> FetchedPicture | None:
        """Return the picture, or `None` if its ETag is known."""
        cancel.check()
        parse_web_address(address)
        if address in self.errors:
            raise self.errors[address]
        if address not in self.pictures:
            raise NotFound(f"{address} responds with status 404")
        data = self.pictures[address]
        etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        if known.etag == etag:
            return None
        self.fetched.append(address)
        return FetchedPicture(data, Validators(etag))

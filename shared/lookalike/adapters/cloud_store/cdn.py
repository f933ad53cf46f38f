"""Links to thumbnails through Cloud CDN, which keeps them near their viewers."""

import time
from urllib.parse import quote

from lookalike.domain.cdn import CdnKey, sign_url

STEP = 900
"""Seconds between two expiries. Links of the same time are equal, so that browsers find the thumbnail in their cache."""


class CdnLinks:
    """Signs addresses of a backend bucket of the load balancer. Needs no request.

    `address`: the address that the load balancer maps to the objects of the bucket, such as `https://shop.example/pictures`.
    """

    def __init__(self, address: str, key: CdnKey) -> None:
        self._address, self._key = address.rstrip("/"), key

    def url(self, name: str, expires_in: int) -> str:
        """Return the signed address of an object, valid for `expires_in` seconds and up to `STEP` more."""
        expires = -(-(int(time.time()) + expires_in) // STEP) * STEP
        return sign_url(f"{self._address}/{quote(name)}", expires, self._key)

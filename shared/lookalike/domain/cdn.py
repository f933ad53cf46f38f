"""Links that Cloud CDN verifies: https://cloud.google.com/cdn/docs/using-signed-urls."""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

KEY_BYTES = 16
"""Cloud CDN's keys have 128 bits."""


@dataclass(frozen=True, slots=True)
class CdnKey:
    """A key of a backend bucket, with its name there."""

    name: str
    secret: bytes = field(repr=False)


def parse_cdn_key(text: str) -> CdnKey:
    """Parse `name:` and 16 bytes in base64 with `-` and `_`. Raises `ValueError`, which does not show the text."""
    problem = f"must be the name of the key, a colon, and its {KEY_BYTES} random bytes in base64 with - and _"
    name, _, encoded = text.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", name) or not re.fullmatch(r"[A-Za-z0-9_-]{22}(==)?", encoded):
        raise ValueError(problem)
    try:
        secret = base64.urlsafe_b64decode(encoded.rstrip("=") + "==")
    except binascii.Error:
        raise ValueError(problem) from None
    return CdnKey(name, secret)


def sign_url(url: str, expires: int, key: CdnKey) -> str:
    """Return the URL with a signature that is valid until `expires`, in Unix seconds.

    Cloud CDN verifies the URL as the client requests it, before the load balancer rewrites it, and expects the parameters
    last and in this order.
    """
    policy = f"{url}{'&' if '?' in url else '?'}Expires={expires}&KeyName={key.name}"
    # The algorithm is Cloud CDN's. The known weakness of SHA-1, collisions, does not concern HMAC.
    signature = base64.urlsafe_b64encode(hmac.digest(key.secret, policy.encode(), hashlib.sha1)).decode()
    return f"{policy}&Signature={signature}"

"""Verification of signed URLs as Cloud CDN does it, written from its documentation without the code that signs.

https://cloud.google.com/cdn/docs/using-signed-urls
"""

import base64
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.hmac import HMAC


def is_served(url: str, keys: Mapping[str, bytes], now: float) -> bool:
    """Return whether Cloud CDN serves the URL from a private bucket, which refuses requests without a signature."""
    signed, separator, signature = url.partition("&Signature=")
    parameters = parse_qsl(urlsplit(signed).query)
    if not separator or "&" in signature or [name for name, _ in parameters][-2:] != ["Expires", "KeyName"]:
        return False
    values = dict(parameters)
    return (
        values["KeyName"] in keys
        and int(values["Expires"]) > now
        and _is_valid(keys[values["KeyName"]], signed, signature)
    )


def _is_valid(key: bytes, signed: str, signature: str) -> bool:
    hmac = HMAC(key, SHA1())
    hmac.update(signed.encode())
    try:
        hmac.verify(base64.urlsafe_b64decode(signature))
    except (InvalidSignature, ValueError):
        return False
    return True

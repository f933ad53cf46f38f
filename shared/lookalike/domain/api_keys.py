"""API keys: credentials of web pages and programs, with a role, a filter and request limits bound to each.

The text of a key is `lk_ID_SECRET_MAC`, in lower-case hexadecimal. The MAC is the HMAC-SHA256 of id and secret, cut to
128 bits: invented keys are recognized without the database, which has only the SHA-256 of the secret.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum

from lookalike.domain.signed_json import json_signature

KEY_PREFIX = "lk_"
"""Start of the text of every key, by which it differs from access tokens, and by which secret scanners find it."""
MAX_REQUESTS_PER_MINUTE = 1_000_000
_TEXT = re.compile(r"lk_([0-9a-f]{12})_([0-9a-f]{40})_([0-9a-f]{32})")
_KIND = "api-key"
"""Keeps these signatures apart from others that are made with the same signing key."""


class KeyRole(StrEnum):
    """The rights of a key."""

    SEARCH = "search"
    """Only the routes of the search."""
    ADMIN = "admin"
    """The routes of administrators, for programs on a server."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is stored, without its secret. Times are in UTC."""

    id: str
    name: str
    """A description for the operator."""
    role: KeyRole
    secret_sha256: str = field(repr=False)
    """Hexadecimal SHA-256 of the secret."""
    filter_json: str
    """Conditions that every garment must satisfy to be visible, as JSON in the form of the API's field `filter`."""
    requests_per_minute: int
    """Limit of all requests with the key. 0: no limit."""
    requests_per_address: int
    """Limit a minute of the requests from one client address with the key. 0: no limit."""
    origins: tuple[str, ...]
    """Origins of the web pages that may use the key. Empty: all."""
    created: datetime
    expires: datetime | None
    revoked: datetime | None = None
    last_used: datetime | None = None
    """Time of a recent use: at most one is recorded a minute."""
    signature: str = field(default="", repr=False)
    """HMAC of all fields that say what the key may do, so that writing the database is not enough to change them."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """Time at which a key was used."""

    key_id: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class KeyText:
    """A valid text of a key, in parts."""

    key_id: str
    secret_sha256: str = field(repr=False)


def create_key_text(signing_key: bytes) -> str:
    """Return the text of a new key, with a random id of 48 bits and a random secret of 160 bits."""
    key_id, secret = secrets.token_hex(6), secrets.token_hex(20)
    return f"{KEY_PREFIX}{key_id}_{secret}_{_mac(key_id, secret, signing_key)}"


def parse_key_text(text: str, signing_key: bytes) -> KeyText | None:
    """Return the parts of a text that `create_key_text` made with this signing key, otherwise `None`."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    key_id, secret, mac = found.groups()
    if not hmac.compare_digest(mac, _mac(key_id, secret, signing_key)):
        return None
    return KeyText(key_id, hashlib.sha256(secret.encode()).hexdigest())


def key_signature(key: ApiKey, signing_key: bytes) -> str:
    """Return the value of `ApiKey.signature`."""
    signed = asdict(key)
    for name in ("name", "revoked", "last_used", "signature"):
        del signed[name]
    times = {"created": key.created.isoformat(), "expires": key.expires.isoformat() if key.expires else None}
    return json_signature({"kind": _KIND, **signed, **times}, signing_key)


def _mac(key_id: str, secret: str, signing_key: bytes) -> str:
    message = f"{_KIND}:{key_id}:{secret}".encode()
    return hmac.new(signing_key, message, hashlib.sha256).hexdigest()[:32]

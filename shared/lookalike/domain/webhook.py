"""Events that are sent to a webhook, and their signatures.

Follows the Standard Webhooks specification 1.0.0 (standardwebhooks.com), with symmetric signatures.
"""

import base64
import binascii
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

SECRET_PREFIX = "whsec_"  # noqa: S105 - no secret
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64
"""Limits of the specification."""


def _new_id() -> str:
    # Neither the id nor the timestamp may contain a dot, which separates the parts that are signed.
    return f"msg_{uuid.uuid4().hex}"


@dataclass(frozen=True, slots=True)
class Event:
    """An event. `id` stays the same when it is sent again, so that receivers can ignore repetitions."""

    type: str
    """Hierarchical name, such as `ingest.completed`."""
    timestamp: datetime
    """When it happened, with a time zone."""
    data: Mapping[str, object]
    """JSON values. The specification recommends less than 20 kB."""
    id: str = field(default_factory=_new_id)

    def payload(self) -> bytes:
        """Return the body of the request: JSON with `type`, `timestamp` and `data`."""
        timestamp = self.timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z")
        body = {"type": self.type, "timestamp": timestamp, "data": dict(self.data)}
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """Return the keys of comma-separated secrets: `whsec_` and 24 to 64 bytes in base64.

    More than one is for a change of the secret: each signs. Raises `ValueError`, which does not show the text.
    """
    return tuple(_parse_secret(part.strip()) for part in text.split(",") if part.strip())


def _parse_secret(text: str) -> bytes:
    problem = f"must be {SECRET_PREFIX} and {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes in base64"
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(problem)
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(problem) from None
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(problem)
    return key


def sign(key: bytes, message_id: str, timestamp: int, payload: bytes) -> str:
    """Return one signature: `v1,` and the base64 of the HMAC-SHA256 of id, timestamp and payload."""
    content = f"{message_id}.{timestamp}.".encode() + payload
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


def signature_headers(keys: tuple[bytes, ...], message_id: str, timestamp: int, payload: bytes) -> dict[str, str]:
    """Return the headers of one attempt. `timestamp`: Unix seconds of this attempt."""
    signatures = " ".join(sign(key, message_id, timestamp, payload) for key in keys)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}

"""Signed addresses, V4: a service account with a key of its own, and whether an address is signed with it and still good."""

import functools
import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.oauth2.service_account import Credentials


@functools.cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign(message: bytes) -> bytes:
    return key().sign(message, padding.PKCS1v15(), hashes.SHA256())


def credentials_with_key(account: str) -> Credentials:
    """They can sign; they have no token."""
    how = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    info = {
        "client_email": account,
        "token_uri": "http://localhost:9/none",
        "private_key": key().private_bytes(*how).decode(),
    }
    made: Credentials = Credentials.from_service_account_info(info)
    return made


def check_signature(target: str, host: str) -> bool:
    """Whether a GET of `target` is signed by our key, as cloud.google.com/storage/docs/authentication/canonical-requests has it."""
    address = urlsplit(target)
    query = dict(parse_qsl(address.query))
    signature = query.pop("X-Goog-Signature", "")
    if not signature or _expired(query):
        return False
    asked = "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query.items()))
    canonical = "\n".join(["GET", address.path, asked, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"])
    scope = query["X-Goog-Credential"].split("/", 1)[1]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    message = "\n".join(["GOOG4-RSA-SHA256", query["X-Goog-Date"], scope, digest])
    return _is_signed(message.encode(), bytes.fromhex(signature))


def _expired(query: dict[str, str]) -> bool:
    moment = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return moment + timedelta(seconds=int(query["X-Goog-Expires"])) < datetime.now(UTC)


def _is_signed(message: bytes, signature: bytes) -> bool:
    try:
        key().public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True

"""V4 signed URLs of Cloud Storage: a service account with a private key, and the verification of its signatures."""

import functools
import hashlib
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.oauth2.service_account import Credentials


@functools.cache
def signing_key() -> rsa.RSAPrivateKey:
    """Return the private key of the service account, generated on first use."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign(message: bytes) -> bytes:
    """Return the signature of a message with the key of the service account."""
    return signing_key().sign(message, padding.PKCS1v15(), hashes.SHA256())


def credentials_with_key(account: str) -> Credentials:
    """Return credentials that can sign URLs. They have no access token."""
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    info = {
        "client_email": account,
        "token_uri": "http://localhost:9/none",
        "private_key": signing_key().private_bytes(*encoding).decode(),
    }
    credentials: Credentials = Credentials.from_service_account_info(info)
    return credentials


def is_valid_signed_url(target: str, host: str) -> bool:
    """Return whether the URL of a GET request is signed by the service account and has not expired.

    See cloud.google.com/storage/docs/authentication/canonical-requests.
    """
    url = urlsplit(target)
    query = dict(parse_qsl(url.query))
    signature = query.pop("X-Goog-Signature", "")
    if not signature or _is_expired(query):
        return False
    canonical_query = "&".join(
        sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query.items())
    )
    canonical = "\n".join(["GET", url.path, canonical_query, f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"])
    scope = query["X-Goog-Credential"].split("/", 1)[1]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    message = "\n".join(["GOOG4-RSA-SHA256", query["X-Goog-Date"], scope, digest])
    return _is_valid_signature(message.encode(), bytes.fromhex(signature))


def _is_expired(query: dict[str, str]) -> bool:
    moment = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return moment + timedelta(seconds=int(query["X-Goog-Expires"])) < datetime.now(UTC)


def _is_valid_signature(message: bytes, signature: bytes) -> bool:
    try:
        signing_key().public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True

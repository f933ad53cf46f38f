"""Verification of Supabase tokens: claims, algorithms, and the cache of keys fetched over HTTP."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from lookalike.adapters.supabase_auth import KEY_CACHE_SECONDS, MIN_FETCH_INTERVAL, SupabaseAuth
from lookalike.domain.errors import Unauthenticated, Unavailable

SECRET = "s" * 40


class KeyServer(ThreadingHTTPServer):
    """Publishes keys as Supabase's Auth server does, and counts the requests.

    `private_keys`: ES256 keys by id. `extra_keys`: further published JWKs. `is_unavailable`: respond with status 503.
    """

    def __init__(self) -> None:
        self.private_keys = {"one": ec.generate_private_key(ec.SECP256R1())}
        self.request_count, self.is_unavailable = 0, False
        self.extra_keys: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def key_set(self) -> bytes:
        """Return the published keys as JWKS."""
        keys = [
            {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": kid, "alg": "ES256", "use": "sig"}
            for kid, key in self.private_keys.items()
        ]
        return json.dumps({"keys": [*keys, *self.extra_keys]}).encode()


class Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.request_count += 1
        is_found = self.path == "/auth/v1/.well-known/jwks.json" and not self.server.is_unavailable
        self.send_response(200 if is_found else 503)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.server.key_set() if is_found else b"{}")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def claims(key_server: KeyServer, **changes: Any) -> dict[str, Any]:
    required = {"iss": f"{key_server.url}/auth/v1", "aud": "authenticated", "sub": "user-1", "exp": time.time() + 60}
    return {**required, "email": "a@example.org", "app_metadata": {"role": "admin"}, **changes}


def token(key_server: KeyServer, kid: str = "one", **changes: Any) -> str:
    """Return a signed token with changed claims. Claims changed to `None` are left out."""
    content = {name: value for name, value in claims(key_server, **changes).items() if value is not None}
    return jwt.encode(content, key_server.private_keys[kid], "ES256", headers={"kid": kid})


def forge(header: dict[str, str], content: dict[str, Any], key: bytes) -> str:
    """Return an HS256 token signed with a public key, which PyJWT refuses to do."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, content)]
    signature = hmac.new(key, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_token_signed_with_a_published_key_is_accepted(key_server: KeyServer) -> None:
    user = SupabaseAuth(key_server.url).verify_token(token(key_server))
    assert (user.id, user.email, user.is_admin) == ("user-1", "a@example.org", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1},
        {"exp": None},
        {"aud": "others"},
        {"aud": None},
        {"iss": "https://others.supabase.co/auth/v1"},
        {"iss": None},
        {"sub": None},
    ],
)
def test_token_with_a_wrong_or_missing_claim_is_rejected(key_server: KeyServer, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        SupabaseAuth(key_server.url).verify_token(token(key_server, **changes))


@pytest.mark.parametrize("metadata", [{"user_metadata": {"role": "admin"}}, {"role": "admin"}, {"is_admin": True}])
def test_only_app_metadata_gives_the_admin_role(key_server: KeyServer, metadata: dict[str, Any]) -> None:
    assert not SupabaseAuth(key_server.url).verify_token(token(key_server, app_metadata=None, **metadata)).is_admin


def test_published_key_is_not_accepted_as_shared_secret(key_server: KeyServer) -> None:
    public = key_server.private_keys["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in ("", SECRET):
        forged = forge({"alg": "HS256", "typ": "JWT", "kid": "one"}, claims(key_server), public)
        with pytest.raises(Unauthenticated):
            SupabaseAuth(key_server.url, secret).verify_token(forged)
    with pytest.raises(Unauthenticated):
        SupabaseAuth(key_server.url, SECRET).verify_token(
            jwt.encode(claims(key_server), "", "none", headers={"kid": "one"})
        )


def test_token_signed_with_an_empty_secret_is_rejected(key_server: KeyServer) -> None:
    with pytest.raises(Unauthenticated):
        SupabaseAuth(key_server.url).verify_token(forge({"alg": "HS256", "typ": "JWT"}, claims(key_server), b""))


def test_published_shared_secret_is_rejected(key_server: KeyServer) -> None:
    """A project that publishes its shared secret by mistake must not accept tokens signed with it."""
    shared = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    key_server.extra_keys = [{"kty": "oct", "kid": "shared", "alg": "HS256", "k": shared}]
    with pytest.raises(Unauthenticated):
        SupabaseAuth(key_server.url).verify_token(
            jwt.encode(claims(key_server), SECRET, "HS256", headers={"kid": "shared"})
        )


def test_token_signed_with_the_shared_secret_is_accepted(key_server: KeyServer) -> None:
    signed = jwt.encode(claims(key_server), SECRET, "HS256")
    assert SupabaseAuth(key_server.url, SECRET).verify_token(signed).id == "user-1" and key_server.request_count == 0
    for secret in ("", "t" * 40):
        with pytest.raises(Unauthenticated):
            SupabaseAuth(key_server.url, secret).verify_token(signed)


@pytest.mark.parametrize("garbage", ["", "x", "a.b.c", "é", "eyJhbGciOiJFUzI1NiJ9..", "null.null.null"])
def test_garbage_is_rejected(key_server: KeyServer, garbage: str) -> None:
    with pytest.raises(Unauthenticated):
        SupabaseAuth(key_server.url).verify_token(garbage)


def test_keys_are_fetched_every_ten_minutes_and_for_unknown_ids_every_minute(key_server: KeyServer) -> None:
    clock = Clock()
    auth = SupabaseAuth(key_server.url, clock=clock)
    for _ in range(5):
        auth.verify_token(token(key_server))
    assert key_server.request_count == 1
    unknown = jwt.encode(claims(key_server), ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "flood"})
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            auth.verify_token(unknown)
    assert key_server.request_count == 1
    clock.now += MIN_FETCH_INTERVAL
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            auth.verify_token(unknown)
    assert key_server.request_count == 2
    clock.now += KEY_CACHE_SECONDS
    auth.verify_token(token(key_server))
    assert key_server.request_count == 3


def test_new_key_is_fetched_within_a_minute(key_server: KeyServer) -> None:
    clock = Clock()
    auth = SupabaseAuth(key_server.url, clock=clock)
    auth.verify_token(token(key_server))
    key_server.private_keys["two"] = ec.generate_private_key(ec.SECP256R1())
    clock.now += MIN_FETCH_INTERVAL
    assert auth.verify_token(token(key_server, "two")).id == "user-1"


def test_known_keys_are_used_while_the_service_is_unavailable(key_server: KeyServer) -> None:
    clock = Clock()
    auth = SupabaseAuth(key_server.url, clock=clock)
    key_server.is_unavailable = True
    with pytest.raises(Unavailable):
        auth.verify_token(token(key_server))
    key_server.is_unavailable = False
    auth.verify_token(token(key_server))
    key_server.is_unavailable, clock.now = True, clock.now + 2 * KEY_CACHE_SECONDS
    assert auth.verify_token(token(key_server)).id == "user-1"

"""Tokens of a Supabase project: keys over real HTTP, every claim checked, and no flood of fetches."""

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

from lookalike.adapters.supabase_auth import KEPT, PAUSE, SupabaseAuth
from lookalike.domain.errors import Unauthenticated, Unavailable

SECRET = "s" * 40


class Keys(ThreadingHTTPServer):
    """Publishes keys as Supabase's Auth server does, and counts how often it is asked."""

    def __init__(self) -> None:
        self.private = {"one": ec.generate_private_key(ec.SECP256R1())}
        self.asked, self.away = 0, False
        self.others: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def published(self) -> bytes:
        keys = [
            {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": kid, "alg": "ES256", "use": "sig"}
            for kid, key in self.private.items()
        ]
        return json.dumps({"keys": [*keys, *self.others]}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Keys

    def do_GET(self) -> None:
        self.server.asked += 1
        right = self.path == "/auth/v1/.well-known/jwks.json" and not self.server.away
        self.send_response(200 if right else 503)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.server.published() if right else b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def keys() -> Iterator[Keys]:
    server = Keys()
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


def claims(keys: Keys, **others: Any) -> dict[str, Any]:
    known = {"iss": f"{keys.url}/auth/v1", "aud": "authenticated", "sub": "user-1", "exp": time.time() + 60}
    return {**known, "email": "a@example.org", "app_metadata": {"role": "admin"}, **others}


def token(keys: Keys, kid: str = "one", **others: Any) -> str:
    content = {name: value for name, value in claims(keys, **others).items() if value is not None}
    return jwt.encode(content, keys.private[kid], "ES256", headers={"kid": kid})


def forge(header: dict[str, str], content: dict[str, Any], key: bytes) -> str:
    """HS256 with a key that the library would refuse to use for it."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, content)]
    signature = hmac.new(key, b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_a_token_signed_with_a_published_key_holds(keys: Keys) -> None:
    user = SupabaseAuth(keys.url).user(token(keys))
    assert (user.id, user.email, user.is_admin) == ("user-1", "a@example.org", True)


@pytest.mark.parametrize(
    "others",
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
def test_a_token_with_a_wrong_or_missing_claim_does_not_hold(keys: Keys, others: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        SupabaseAuth(keys.url).user(token(keys, **others))


@pytest.mark.parametrize("metadata", [{"user_metadata": {"role": "admin"}}, {"role": "admin"}, {"is_admin": True}])
def test_only_app_metadata_makes_an_administrator(keys: Keys, metadata: dict[str, Any]) -> None:
    assert not SupabaseAuth(keys.url).user(token(keys, app_metadata=None, **metadata)).is_admin


def test_a_published_key_is_no_shared_secret(keys: Keys) -> None:
    public = keys.private["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in ("", SECRET):
        forged = forge({"alg": "HS256", "typ": "JWT", "kid": "one"}, claims(keys), public)
        with pytest.raises(Unauthenticated):
            SupabaseAuth(keys.url, secret).user(forged)
    with pytest.raises(Unauthenticated):
        SupabaseAuth(keys.url, SECRET).user(jwt.encode(claims(keys), "", "none", headers={"kid": "one"}))


def test_without_a_secret_none_is_the_secret(keys: Keys) -> None:
    with pytest.raises(Unauthenticated):
        SupabaseAuth(keys.url).user(forge({"alg": "HS256", "typ": "JWT"}, claims(keys), b""))


def test_a_secret_that_was_published_is_none(keys: Keys) -> None:
    """By mistake: whoever reads it could sign with it."""
    shared = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    keys.others = [{"kty": "oct", "kid": "shared", "alg": "HS256", "k": shared}]
    with pytest.raises(Unauthenticated):
        SupabaseAuth(keys.url).user(jwt.encode(claims(keys), SECRET, "HS256", headers={"kid": "shared"}))


def test_projects_that_sign_with_a_secret(keys: Keys) -> None:
    signed = jwt.encode(claims(keys), SECRET, "HS256")
    assert SupabaseAuth(keys.url, SECRET).user(signed).id == "user-1" and keys.asked == 0
    for secret in ("", "t" * 40):
        with pytest.raises(Unauthenticated):
            SupabaseAuth(keys.url, secret).user(signed)


@pytest.mark.parametrize("garbage", ["", "x", "a.b.c", "é", "eyJhbGciOiJFUzI1NiJ9..", "null.null.null"])
def test_garbage_is_no_token(keys: Keys, garbage: str) -> None:
    with pytest.raises(Unauthenticated):
        SupabaseAuth(keys.url).user(garbage)


def test_keys_are_fetched_once_in_ten_minutes_and_unknown_ones_once_a_minute(keys: Keys) -> None:
    clock = Clock()
    auth = SupabaseAuth(keys.url, clock=clock)
    for _ in range(5):
        auth.user(token(keys))
    assert keys.asked == 1
    unknown = jwt.encode(claims(keys), ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "flood"})
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            auth.user(unknown)
    assert keys.asked == 1
    clock.now += PAUSE
    for _ in range(100):
        with pytest.raises(Unauthenticated):
            auth.user(unknown)
    assert keys.asked == 2
    clock.now += KEPT
    auth.user(token(keys))
    assert keys.asked == 3


def test_a_new_key_is_found_within_a_minute(keys: Keys) -> None:
    clock = Clock()
    auth = SupabaseAuth(keys.url, clock=clock)
    auth.user(token(keys))
    keys.private["two"] = ec.generate_private_key(ec.SECP256R1())
    clock.now += PAUSE
    assert auth.user(token(keys, "two")).id == "user-1"


def test_while_the_service_is_away_known_keys_count(keys: Keys) -> None:
    clock = Clock()
    auth = SupabaseAuth(keys.url, clock=clock)
    keys.away = True
    with pytest.raises(Unavailable):
        auth.user(token(keys))
    keys.away = False
    auth.user(token(keys))
    keys.away, clock.now = True, clock.now + 2 * KEPT
    assert auth.user(token(keys)).id == "user-1"

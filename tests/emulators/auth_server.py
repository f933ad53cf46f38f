"""Emulator of Supabase's Auth server (GoTrue) over HTTP, in memory, according to its API documentation.

Supports sign-ins with email addresses, ES256 keys, rotating refresh tokens, and listing, updating and deleting
users by the Admin API.
"""

import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

API_VERSION = "2024-01-01"
TIMESTAMP = "2026-11-24T06:00:00Z"
Json = dict[str, Any]


class ApiError(Exception):
    """An error response with its status and JSON body."""

    def __init__(self, status: int, code: str, message: str, **fields: object) -> None:
        super().__init__(message)
        self.status, self.body = status, {"code": code, "message": message, **fields}


@dataclass
class Account:
    """A stored user."""

    email: str
    password: str
    is_confirmed: bool
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    app_metadata: Json = field(default_factory=lambda: {"provider": "email", "providers": ["email"]})
    user_metadata: Json = field(default_factory=dict)
    last_sign_in_at: str | None = None

    def to_json(self) -> Json:
        """Return the user object of the API."""
        identity = {
            "id": self.id,
            "identity_id": str(uuid.uuid4()),
            "user_id": self.id,
            "identity_data": {"email": self.email, "sub": self.id},
            "provider": "email",
            "created_at": TIMESTAMP,
            "updated_at": TIMESTAMP,
        }
        metadata = {"app_metadata": self.app_metadata, "user_metadata": self.user_metadata}
        times = {"last_sign_in_at": self.last_sign_in_at} if self.last_sign_in_at else {}
        return {**_user_json(self.id, self.email), **metadata, **times, "identities": [identity]}


def _user_json(user_id: str, email: str) -> Json:
    return {
        "id": user_id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "phone": "",
        "app_metadata": {},
        "user_metadata": {},
        "identities": [],
        "created_at": TIMESTAMP,
        "updated_at": TIMESTAMP,
        "is_anonymous": False,
    }


@dataclass
class RefreshToken:
    """A refresh token; `used` is the monotonic time of its first use."""

    account: Account
    session: str
    used: float | None = None


class AuthServer(ThreadingHTTPServer):
    """The emulator with its state and settings.

    `requested_paths`: paths of all requests. `keys_by_kid`: signing keys by id, of which the last signs new tokens.
    `is_unavailable`: respond with status 503. `returns_html`: respond with a body that is not JSON. `delay`: seconds before each
    response. `reuse_interval`: seconds in which a used refresh token is accepted again; later use revokes its session.
    `requires_confirmation`: new accounts cannot sign in, and signing up with a taken address looks successful.
    """

    PUBLIC, SERVICE = "sb_publishable_" + "p" * 20, "sb_secret_" + "s" * 20
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, RefreshToken] = {}
        self.keys_by_kid = {"one": ec.generate_private_key(ec.SECP256R1())}
        self.requested_paths: list[str] = []
        self.is_unavailable = self.requires_confirmation = self.returns_html = False
        self.reuse_interval, self.delay = 10.0, 0.0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sign_up(self, body: Json, _key: str) -> Json:
        """Create an account."""
        email, password = str(body.get("email", "")).lower(), str(body.get("password", ""))
        if "@" not in email:
            raise ApiError(400, "validation_failed", "Unable to validate email address: invalid format")
        if len(password) < 6:
            weak = {"weak_password": {"reasons": ["length"]}}
            raise ApiError(422, "weak_password", "Password should be at least 6 characters.", **weak)
        if email in self.accounts:
            if not self.requires_confirmation:
                raise ApiError(422, "user_already_exists", "User already registered")
            return _user_json(str(uuid.uuid4()), email)
        account = Account(email, password, not self.requires_confirmation, user_metadata=dict(body.get("data") or {}))
        self.accounts[email] = account
        return account.to_json() if self.requires_confirmation else self._create_session(account, secrets.token_hex(8))

    def sign_in(self, body: Json, _key: str) -> Json:
        """Create a session for an email address and password."""
        account = self.accounts.get(str(body.get("email", "")).lower())
        if account is None or account.password != body.get("password"):
            raise ApiError(400, "invalid_credentials", "Invalid login credentials")
        if not account.is_confirmed:
            raise ApiError(400, "email_not_confirmed", "Email not confirmed")
        account.last_sign_in_at = datetime.now(UTC).isoformat()
        return self._create_session(account, secrets.token_hex(8))

    def refresh(self, body: Json, _key: str) -> Json:
        """Exchange a refresh token for a new session."""
        token = self.tokens.get(str(body.get("refresh_token")))
        if token is None:
            raise ApiError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
        if token.used is not None and time.monotonic() - token.used > self.reuse_interval:
            self._revoke(lambda other: other.session == token.session)
            raise ApiError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
        token.used = token.used or time.monotonic()
        return self._create_session(token.account, token.session)

    def logout(self, scope: str, key: str) -> None:
        """Revoke all refresh tokens of the user, or with the scope `local` those of the session."""
        claims = self._claims(key)
        is_local = scope == "local"
        self._revoke(
            lambda token: token.session == claims["session_id"] if is_local else token.account.id == claims["sub"]
        )

    def get_user(self, key: str) -> Json:
        """Return the user of an access token."""
        return self._account(str(self._claims(key)["sub"])).to_json()

    def delete_user(self, user_id: str, key: str) -> Json:
        """Delete a user. Requires the service key."""
        self._require_service_key(key)
        account = self._account(user_id)
        del self.accounts[account.email]
        self._revoke(lambda token: token.account is account)
        return {}

    def _account(self, user_id: str) -> Account:
        account = next((account for account in self.accounts.values() if account.id == user_id), None)
        if account is None:
            raise ApiError(404, "user_not_found", "User not found")
        return account

    def list_users(self, query: dict[str, str], key: str) -> Json:
        """Return a page of the users. Requires the service key."""
        self._require_service_key(key)
        page, size = int(query.get("page", "1")), int(query.get("per_page", "50"))
        users = [account.to_json() for account in self.accounts.values()]
        return {"users": users[(page - 1) * size : page * size], "aud": "authenticated"}

    def create_user(self, body: Json, key: str) -> Json:
        """Create an account by the Admin API. Requires the service key."""
        self._require_service_key(key)
        if len(str(body.get("password", ""))) < 6:
            raise ApiError(422, "weak_password", "Password should be at least 6 characters.")
        account = Account(str(body["email"]).lower(), str(body["password"]), bool(body.get("email_confirm")))
        self.accounts[account.email] = account
        return account.to_json()

    def update_user(self, user_id: str, body: Json, key: str) -> Json:
        """Merge `app_metadata` into that of a user. Requires the service key."""
        self._require_service_key(key)
        account = self._account(user_id)
        account.app_metadata |= body.get("app_metadata") or {}
        return account.to_json()

    def key_set(self) -> Json:
        """Return the public keys as JWKS."""
        public = {kid: json.loads(ECAlgorithm.to_jwk(key.public_key())) for kid, key in self.keys_by_kid.items()}
        return {"keys": [{**key, "kid": kid, "alg": "ES256", "use": "sig"} for kid, key in public.items()]}

    def access_token(self, account: Account, **extra_claims: object) -> str:
        """Return a signed access token of the account."""
        now, (kid, key) = int(time.time()), [*self.keys_by_kid.items()][-1]
        claims = {
            "iss": f"{self.url}/auth/v1",
            "aud": "authenticated",
            "sub": account.id,
            "iat": now,
            "exp": now + 3600,
            "email": account.email,
            "role": "authenticated",
            "app_metadata": account.app_metadata,
            "user_metadata": account.user_metadata,
        }
        return jwt.encode({**claims, **extra_claims}, key, "ES256", {"kid": kid})

    def _create_session(self, account: Account, session: str) -> Json:
        token = secrets.token_urlsafe(9)
        self.tokens[token] = RefreshToken(account, session)
        access = self.access_token(account, session_id=session)
        times = {"expires_in": 3600, "expires_at": int(time.time()) + 3600}
        return {
            "access_token": access,
            "token_type": "bearer",
            "refresh_token": token,
            "user": account.to_json(),
            **times,
        }

    def _revoke(self, is_revoked: Callable[[RefreshToken], bool]) -> None:
        self.tokens = {name: token for name, token in self.tokens.items() if not is_revoked(token)}

    def _claims(self, key: str) -> Json:
        try:
            public = [*self.keys_by_kid.values()][-1].public_key()
            claims: Json = jwt.decode(key, public, ["ES256"], audience="authenticated")
        except jwt.InvalidTokenError:
            raise ApiError(403, "bad_jwt", "invalid JWT: unable to parse or verify signature") from None
        return claims

    def _require_service_key(self, key: str) -> None:
        if key != self.SERVICE:
            raise ApiError(403, "not_admin", "User not allowed")


class Handler(BaseHTTPRequestHandler):
    """Passes requests to the methods of `AuthServer`."""

    server: AuthServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requested_paths.append(self.path)
        time.sleep(self.server.delay)
        try:
            with self.server.lock:
                status, content = self._route(body)
        except ApiError as error:
            status, content = error.status, error.body
        data = b"<html>" if self.server.returns_html else b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Supabase-Api-Version", API_VERSION)
        self.end_headers()
        self.wfile.write(data)

    def _route(self, body: bytes) -> tuple[int, Json | None]:
        """Return the status and JSON content of the response."""
        server, url = self.server, urlsplit(self.path)
        path = url.path.removeprefix("/auth/v1/")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if server.is_unavailable:
            raise ApiError(503, "unexpected_failure", "Service Unavailable")
        if path == ".well-known/jwks.json":
            return 200, server.key_set()
        if self.headers.get("apikey") not in (server.PUBLIC, server.SERVICE):
            raise ApiError(401, "no_authorization", "No API key found in request")
        key, content = self.headers.get("Authorization", "").removeprefix("Bearer "), json.loads(body or b"{}")
        if path == "logout":
            server.logout(query.get("scope", "global"), key)
            return 204, None
        if path == "user":
            return 200, server.get_user(key)
        if path == "admin/users" and self.command == "POST":
            return 200, server.create_user(content, key)
        if path == "admin/users":
            return 200, server.list_users(query, key)
        if path.startswith("admin/users/"):
            if self.command == "DELETE":
                return 200, server.delete_user(path.removeprefix("admin/users/"), key)
            return 200, server.update_user(path.removeprefix("admin/users/"), content, key)
        methods = {"signup": server.sign_up, "password": server.sign_in, "refresh_token": server.refresh}
        return 200, methods[query.get("grant_type", path)](content, key)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def auth_server() -> Iterator[AuthServer]:
    """Run an emulator on a free port."""
    server = AuthServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

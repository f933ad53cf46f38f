"""Supabase's Auth server (GoTrue) over HTTP, from memory, as its API is documented: e-mail sign-ins, ES256 keys, refresh tokens
that rotate, and the part of the Admin API that lists users and changes them.

A refresh token that was used is taken again for `again` seconds, as the project's setting "reuse interval" has it; later, it ends
the whole session. With `confirms`, addresses are to be confirmed first, and one that is taken looks like a new one.
"""

import json
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

API_VERSION = "2024-01-01"
WHEN = "2026-11-24T06:00:00Z"
Json = dict[str, Any]


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.status, self.body = status, {"code": code, "message": message, **more}


@dataclass
class Account:
    email: str
    password: str
    confirmed: bool
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    app_metadata: Json = field(default_factory=lambda: {"provider": "email", "providers": ["email"]})
    user_metadata: Json = field(default_factory=dict)

    def shown(self) -> Json:
        identity = {
            "id": self.id,
            "identity_id": str(uuid.uuid4()),
            "user_id": self.id,
            "identity_data": {"email": self.email, "sub": self.id},
            "provider": "email",
            "created_at": WHEN,
            "updated_at": WHEN,
        }
        return {**_shown(self.id, self.email), **self._data(), "identities": [identity]}

    def _data(self) -> Json:
        return {"app_metadata": self.app_metadata, "user_metadata": self.user_metadata}


def _shown(user_id: str, email: str) -> Json:
    return {
        "id": user_id,
        "aud": "authenticated",
        "role": "authenticated",
        "email": email,
        "phone": "",
        "app_metadata": {},
        "user_metadata": {},
        "identities": [],
        "created_at": WHEN,
        "updated_at": WHEN,
        "is_anonymous": False,
    }


@dataclass
class Token:
    account: Account
    session: str
    used: float | None = None


class AuthServer(ThreadingHTTPServer):
    """`asked` has the paths of all requests, `keys_by_kid` what signs tokens, the last of them new ones."""

    PUBLIC, SERVICE = "sb_publishable_" + "p" * 20, "sb_secret_" + "s" * 20
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, Token] = {}
        self.keys_by_kid = {"one": ec.generate_private_key(ec.SECP256R1())}
        self.asked: list[str] = []
        self.away = self.confirms = self.garbles = False
        self.again, self.delay = 10.0, 0.0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def signup(self, asked: Json, _key: str) -> Json:
        email, password = str(asked.get("email", "")).lower(), str(asked.get("password", ""))
        if "@" not in email:
            raise Refused(400, "validation_failed", "Unable to validate email address: invalid format")
        if len(password) < 6:
            weak = {"weak_password": {"reasons": ["length"]}}
            raise Refused(422, "weak_password", "Password should be at least 6 characters.", **weak)
        if email in self.accounts:
            if not self.confirms:
                raise Refused(422, "user_already_exists", "User already registered")
            return _shown(str(uuid.uuid4()), email)
        account = Account(email, password, not self.confirms, user_metadata=dict(asked.get("data") or {}))
        self.accounts[email] = account
        return account.shown() if self.confirms else self._session(account, secrets.token_hex(8))

    def password(self, asked: Json, _key: str) -> Json:
        account = self.accounts.get(str(asked.get("email", "")).lower())
        if account is None or account.password != asked.get("password"):
            raise Refused(400, "invalid_credentials", "Invalid login credentials")
        if not account.confirmed:
            raise Refused(400, "email_not_confirmed", "Email not confirmed")
        return self._session(account, secrets.token_hex(8))

    def refresh(self, asked: Json, _key: str) -> Json:
        known = self.tokens.get(str(asked.get("refresh_token")))
        if known is None:
            raise Refused(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
        if known.used is not None and time.monotonic() - known.used > self.again:
            self._end(lambda token: token.session == known.session)
            raise Refused(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
        known.used = known.used or time.monotonic()
        return self._session(known.account, known.session)

    def logout(self, _asked: Json, key: str) -> None:
        claims = self._claims(key)
        self._end(lambda token: token.account.id == claims["sub"])

    def list_users(self, query: dict[str, str], key: str) -> Json:
        self._must_be_service(key)
        page, size = int(query.get("page", "1")), int(query.get("per_page", "50"))
        users = [account.shown() for account in self.accounts.values()]
        return {"users": users[(page - 1) * size : page * size], "aud": "authenticated"}

    def change_user(self, user_id: str, asked: Json, key: str) -> Json:
        self._must_be_service(key)
        account = next((one for one in self.accounts.values() if one.id == user_id), None)
        if account is None:
            raise Refused(404, "user_not_found", "User not found")
        account.app_metadata |= asked.get("app_metadata") or {}
        return account.shown()

    def keys(self) -> Json:
        public = {kid: json.loads(ECAlgorithm.to_jwk(key.public_key())) for kid, key in self.keys_by_kid.items()}
        return {"keys": [{**key, "kid": kid, "alg": "ES256", "use": "sig"} for kid, key in public.items()]}

    def access_token(self, account: Account, **others: object) -> str:
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
        return jwt.encode({**claims, **others}, key, "ES256", {"kid": kid})

    def _session(self, account: Account, session: str) -> Json:
        token = secrets.token_urlsafe(9)
        self.tokens[token] = Token(account, session)
        access = self.access_token(account, session_id=session)
        times = {"expires_in": 3600, "expires_at": int(time.time()) + 3600}
        return {
            "access_token": access,
            "token_type": "bearer",
            "refresh_token": token,
            "user": account.shown(),
            **times,
        }

    def _end(self, of: Any) -> None:
        self.tokens = {name: token for name, token in self.tokens.items() if not of(token)}

    def _claims(self, key: str) -> Json:
        try:
            public = [*self.keys_by_kid.values()][-1].public_key()
            claims: Json = jwt.decode(key, public, ["ES256"], audience="authenticated")
        except jwt.InvalidTokenError:
            raise Refused(403, "bad_jwt", "invalid JWT: unable to parse or verify signature") from None
        return claims

    def _must_be_service(self, key: str) -> None:
        if key != self.SERVICE:
            raise Refused(403, "not_admin", "User not allowed")


class Handler(BaseHTTPRequestHandler):
    server: AuthServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(self.path)
        time.sleep(self.server.delay)
        try:
            with self.server.lock:
                status, said = self._say(body)
        except Refused as refusal:
            status, said = refusal.status, refusal.body
        data = b"<html>" if self.server.garbles else b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Supabase-Api-Version", API_VERSION)
        self.end_headers()
        self.wfile.write(data)

    def _say(self, body: bytes) -> tuple[int, Json | None]:
        server, address = self.server, urlsplit(self.path)
        path, query = (
            address.path.removeprefix("/auth/v1/"),
            {name: values[0] for name, values in parse_qs(address.query).items()},
        )
        if server.away:
            raise Refused(503, "unexpected_failure", "Service Unavailable")
        if path == ".well-known/jwks.json":
            return 200, server.keys()
        if self.headers.get("apikey") not in (server.PUBLIC, server.SERVICE):
            raise Refused(401, "no_authorization", "No API key found in request")
        key, asked = self.headers.get("Authorization", "").removeprefix("Bearer "), json.loads(body or b"{}")
        if path == "logout":
            server.logout(asked, key)
            return 204, None
        if path == "admin/users":
            return 200, server.list_users(query, key)
        if path.startswith("admin/users/"):
            return 200, server.change_user(path.removeprefix("admin/users/"), asked, key)
        how = {"signup": server.signup, "password": server.password, "refresh_token": server.refresh}
        return 200, how[query.get("grant_type", path)](asked, key)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def auth_server() -> Iterator[AuthServer]:
    server = AuthServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""Accounts of a Supabase project, through its own package."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from supabase import Client, ClientOptions, create_client
from supabase_auth.errors import AuthApiError, AuthError, AuthRetryableError, AuthUnknownError, AuthWeakPasswordError

from lookalike.domain.errors import (
    Conflict,
    InvalidField,
    LookalikeError,
    Misconfigured,
    NotFound,
    TooManyAttempts,
    Unauthenticated,
    Unavailable,
)
from lookalike.domain.model import Session, User

SECONDS = 10.0
PAGE = 1000
"""Users that are looked through at a time."""
TAKEN = ("user_already_exists", "email_exists")
LIMITS = ("over_request_rate_limit", "over_email_send_rate_limit")


class SupabaseAccounts:
    """The port `Accounts`. `key` is the project's public one; `service_key` is needed to grant roles alone."""

    def __init__(self, url: str, key: str, service_key: str = "") -> None:
        self._url, self._key, self._service_key = url.rstrip("/"), key, service_key
        self._tls = ssl.create_default_context()

    def register(self, email: str, password: str) -> User:
        with self._client() as client:
            found = client.auth.sign_up({"email": email, "password": password}).user
        # where addresses are to be confirmed, one that is taken looks like a new one, but for this
        if found is None or not found.identities:
            raise Conflict("There is an account of that address")
        return _user(found)

    def sign_in(self, email: str, password: str) -> Session:
        with self._client() as client:
            return _session(client.auth.sign_in_with_password({"email": email, "password": password}))

    def refresh(self, refresh_token: str) -> Session:
        with self._client() as client:
            return _session(client.auth.refresh_session(refresh_token))

    def sign_out(self, access_token: str) -> None:
        with self._client() as client:
            client.auth.admin.sign_out(access_token)

    def grant(self, email: str, role: str) -> User:
        if not self._service_key:
            raise Misconfigured("SUPABASE_SERVICE_KEY is needed to grant roles")
        with self._client(self._service_key) as client:
            found = _of_address(client, email)
            # what the project keeps there besides, it merges
            changed = client.auth.admin.update_user_by_id(found.id, {"app_metadata": {"role": role}})
        return _user(changed.user)

    @contextmanager
    def _client(self, key: str = "") -> Iterator[Client]:
        """One a call: a sign-in writes that user's token into its client, for whoever comes next."""
        if not (key or self._key):
            raise Misconfigured("SUPABASE_KEY is needed to sign in")
        with httpx.Client(verify=self._tls, timeout=SECONDS) as http, _translated():
            options = ClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
            yield create_client(self._url, key or self._key, options)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AuthError as error:
        raise _meaning(error) from error
    except UnicodeEncodeError as error:
        raise Unauthenticated("The address, the password or the token is wrong") from error
    except ValueError as error:
        # pydantic's among them: the answer is none that the package knows
        raise Unavailable("The sign-in service gave an answer that cannot be read") from error


def _meaning(error: AuthError) -> LookalikeError:
    status = error.status if isinstance(error, AuthApiError) else 0
    if error.code in TAKEN:
        return Conflict("There is an account of that address")
    if error.code in LIMITS or status == 429:
        return TooManyAttempts("The sign-in service asks to wait")
    if error.code == "email_not_confirmed":
        return Unauthenticated("Confirm the address first: a message with a link was sent to it")
    if isinstance(error, AuthWeakPasswordError) or error.code == "weak_password":
        return InvalidField(f"password: {error.message}", field="password")
    if error.code in ("email_address_invalid", "validation_failed"):
        return InvalidField(f"email: {error.message}", field="email")
    if isinstance(error, AuthRetryableError | AuthUnknownError) or status >= 500:
        return Unavailable("The sign-in service cannot be reached")
    return Unauthenticated("The address, the password or the token is wrong")


def _of_address(client: Client, email: str) -> Any:
    """Raises `NotFound`. The API cannot look for an address, so all are looked through."""
    wanted, page = email.strip().lower(), 1
    while users := client.auth.admin.list_users(page, PAGE):
        for user in users:
            if (user.email or "").lower() == wanted:
                return user
        page += 1
    raise NotFound(f"There is no account of {email}")


def _session(found: Any) -> Session:
    """Raises `Unauthenticated` where the service signs nobody in."""
    if found.session is None:
        raise Unauthenticated("The address, the password or the token is wrong")
    held = found.session
    return Session(_user(held.user), held.access_token, held.refresh_token, held.expires_in)


def _user(found: Any) -> User:
    return User.from_claims({"sub": found.id, "email": found.email, "app_metadata": found.app_metadata})

"""User accounts of a Supabase project, through the `supabase` package."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from supabase import Client, ClientOptions, create_client
from supabase_auth.errors import AuthApiError, AuthError, AuthRetryableError, AuthUnknownError, AuthWeakPasswordError

from lookalike.domain.account import Account, AccountPage
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
from lookalike.domain.personal_data import AccountRecord

TIMEOUT_SECONDS = 10.0
PAGE_SIZE = 1000
"""Users per request when an email address is looked up."""
TAKEN_CODES = ("user_already_exists", "email_exists")
RATE_LIMIT_CODES = ("over_request_rate_limit", "over_email_send_rate_limit")
TAKEN_MESSAGE = "An account with this email address exists already: sign in instead"
UNAUTHENTICATED_MESSAGE = "The email address, the password or the token is wrong"
"""The same for all causes: a message must not reveal whether an account exists."""
SERVICE_KEY_MESSAGE = "Supabase refuses the SUPABASE_SERVICE_KEY: set it to a secret key of the project"


class SupabaseAccounts:
    """Supabase implementation of the port `Accounts`.

    `key` is the public key of the project. `service_key` is secret, and needed only to grant roles, and to list and
    delete accounts.
    """

    def __init__(self, url: str, key: str, service_key: str = "") -> None:
        self._url, self._key, self._service_key = url.rstrip("/"), key, service_key
        # Shared by all clients: loading the certificates takes tens of milliseconds.
        self._tls = ssl.create_default_context()

    def register(self, email: str, password: str) -> User:
        """Create an account. Raises `Conflict` if the email address is taken, `InvalidField`."""
        with self._client() as client:
            user = client.auth.sign_up({"email": email, "password": password}).user
        # With email confirmation, Supabase answers for a taken address as for a new one, but without identities.
        if user is None or not user.identities:
            raise Conflict(TAKEN_MESSAGE)
        return _to_user(user)

    def sign_in(self, email: str, password: str) -> Session:
        """Return a new session. Raises `Unauthenticated`."""
        with self._client() as client:
            return _to_session(client.auth.sign_in_with_password({"email": email, "password": password}))

    def refresh(self, refresh_token: str) -> Session:
        """Exchange a refresh token for a new session. Raises `Unauthenticated`."""
        with self._client() as client:
            return _to_session(client.auth.refresh_session(refresh_token))

    def sign_out(self, access_token: str) -> None:
        """Revoke all refresh tokens of the user. Raises `Unauthenticated`."""
        with self._client() as client:
            client.auth.admin.sign_out(access_token)

    def set_role(self, email: str, role: str) -> User:
        """Set the role of an account. Raises `NotFound`, and `Misconfigured` without a service key."""
        if not self._service_key:
            raise Misconfigured("Set SUPABASE_SERVICE_KEY to grant roles")
        with self._client(self._service_key) as client:
            user = _find_user(client, email)
            # Supabase merges app_metadata: its other keys are kept.
            response = client.auth.admin.update_user_by_id(user.id, {"app_metadata": {"role": role}})
        return _to_user(response.user)

    def verify_password(self, email: str, password: str) -> User:
        """Return the user with this password. Raises `Unauthenticated`. Signs in, and ends that session again."""
        with self._client() as client:
            session = _to_session(client.auth.sign_in_with_password({"email": email, "password": password}))
            client.auth.admin.sign_out(session.access_token, "local")
        return session.user

    def account_record(self, access_token: str) -> AccountRecord | None:
        """Return the user object of a token. Supabase does not tell the number of sessions."""
        with self._client() as client:
            response = client.auth.get_user(access_token)
        return AccountRecord(response.user.model_dump(mode="json", exclude_none=True), None) if response else None

    def list_accounts(self, page: int, size: int) -> AccountPage:
        """Return a page of all accounts. Raises `Misconfigured` without a service key."""
        if not self._service_key:
            raise Misconfigured(
                "The server may not list accounts, since it has no SUPABASE_SERVICE_KEY: run `lookalike users list` on a "
                "machine that has it, or look into the Supabase project"
            )
        with self._client(self._service_key) as client:
            users = client.auth.admin.list_users(page, size)
        # the package does not return the total that Supabase sends
        return AccountPage([_to_account(user) for user in users], page + 1 if len(users) == size else None)

    def delete_account(self, user: str) -> bool:
        """Delete a user. Returns whether it existed. Raises `Misconfigured` without a service key."""
        if not self._service_key:
            raise Misconfigured("Set SUPABASE_SERVICE_KEY to delete accounts")
        with self._client(self._service_key) as client:
            try:
                client.auth.admin.delete_user(user)
            except AuthApiError as error:
                if error.code != "user_not_found":
                    raise
                return False
        return True

    @contextmanager
    def _client(self, key: str = "") -> Iterator[Client]:
        """Create a client for one call. A client stores the tokens of a sign-in, so users must not share one."""
        if not (key or self._key):
            raise Misconfigured("Set SUPABASE_KEY to sign in")
        with httpx.Client(verify=self._tls, timeout=TIMEOUT_SECONDS) as http, _translate_errors(bool(key)):
            options = ClientOptions(auto_refresh_token=False, persist_session=False, httpx_client=http)
            yield create_client(self._url, key or self._key, options)


@contextmanager
def _translate_errors(uses_service_key: bool) -> Iterator[None]:
    try:
        yield
    except AuthError as error:
        # The caller's own token is valid. An error 401 of this server would end the session of an administrator.
        if uses_service_key and isinstance(error, AuthApiError) and error.status in (401, 403):
            raise Misconfigured(SERVICE_KEY_MESSAGE) from error
        raise _translate(error) from error
    except UnicodeEncodeError as error:
        # Lone surrogates in the input cannot be sent.
        raise Unauthenticated(UNAUTHENTICATED_MESSAGE) from error
    except ValueError as error:
        # Includes pydantic's ValidationError, for a response that does not have the expected fields.
        raise Unavailable("The sign-in service returned an invalid response") from error


def _translate(error: AuthError) -> LookalikeError:
    status = error.status if isinstance(error, AuthApiError) else 0
    if error.code in TAKEN_CODES:
        return Conflict(TAKEN_MESSAGE)
    if error.code in RATE_LIMIT_CODES or status == 429:
        return TooManyAttempts("The rate limit of the sign-in service is reached: try again later")
    if error.code == "email_not_confirmed":
        return Unauthenticated("Confirm the email address first: open the link in the message sent to it")
    if isinstance(error, AuthWeakPasswordError) or error.code == "weak_password":
        return InvalidField(f"password: {error.message}", field="password")
    if error.code in ("email_address_invalid", "validation_failed"):
        return InvalidField(f"email: {error.message}", field="email")
    if isinstance(error, AuthRetryableError | AuthUnknownError) or status >= 500:
        return Unavailable("The sign-in service cannot be reached")
    return Unauthenticated(UNAUTHENTICATED_MESSAGE)


def _find_user(client: Client, email: str) -> Any:
    """Return the user with this email address. Raises `NotFound`. Lists all users: the API has no search by address."""
    normalized, page = email.strip().lower(), 1
    while users := client.auth.admin.list_users(page, PAGE_SIZE):
        for user in users:
            if (user.email or "").lower() == normalized:
                return user
        page += 1
    raise NotFound(f"No account has the email address {email}")


def _to_session(response: Any) -> Session:
    """Return the session of a response. Raises `Unauthenticated` if it has none."""
    session = response.session
    if session is None:
        raise Unauthenticated(UNAUTHENTICATED_MESSAGE)
    return Session(_to_user(session.user), session.access_token, session.refresh_token, session.expires_in)


def _to_user(user: Any) -> User:
    return User.from_claims({"sub": user.id, "email": user.email, "app_metadata": user.app_metadata})


def _to_account(user: Any) -> Account:
    known = _to_user(user)
    return Account(known.id, known.email, known.role, user.created_at, user.last_sign_in_at)

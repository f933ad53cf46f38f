"""Who somebody is: registering, signing in and out."""

from typing import Any

from lookalike.bootstrap import Services
from lookalike.domain.model import Session, User
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import CredentialsRequest, HandlerResult, RefreshRequest


def register(services: Services, asked: ApiRequest) -> HandlerResult:
    """Open an account: a user's, whatever else is said."""
    body = asked.body(CredentialsRequest)
    user = services.sign_in.register(body.email, body.password, asked.caller.address)
    return {
        "success": True,
        "message": "Registered; sign in next, or first confirm the address if a message comes",
        "data": user_answer(user),
    }, 201


def login(services: Services, asked: ApiRequest) -> HandlerResult:
    """Sign in."""
    body = asked.body(CredentialsRequest)
    return session_answer(services.sign_in.login(body.email, body.password, asked.caller.address))


def refresh(services: Services, asked: ApiRequest) -> HandlerResult:
    """Another pair of tokens for a refresh token, which is good once."""
    return session_answer(services.sign_in.refresh(asked.body(RefreshRequest).refresh_token, asked.caller.address))


def logout(services: Services, asked: ApiRequest) -> HandlerResult:
    """Take no refresh token of this user any more."""
    services.sign_in.logout(asked.token)
    return {"success": True, "message": "Signed out; the access token is good until it runs out"}


def whoami(services: Services, asked: ApiRequest) -> HandlerResult:
    """Whose token this is."""
    caller = asked.caller
    role = "admin" if caller.is_admin else "user"
    return {
        "success": True,
        "data": {"user_id": caller.user, "email": caller.email, "role": role, "is_admin": caller.is_admin},
    }


def user_answer(user: User) -> dict[str, Any]:
    return {"user_id": user.id, "email": user.email, "role": user.role}


def session_answer(session: Session) -> dict[str, Any]:
    tokens = {"access_token": session.access_token, "refresh_token": session.refresh_token}
    return {"success": True, "data": {**user_answer(session.user), **tokens, "expires_in": session.expires_in}}

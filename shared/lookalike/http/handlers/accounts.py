"""Handlers for registration and sign-in."""

from typing import Any

from lookalike.bootstrap import Services
from lookalike.domain.model import Session, User
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import CredentialsRequest, HandlerResult, RefreshRequest


def register(services: Services, request: ApiRequest) -> HandlerResult:
    """Create an account.

    It has the role `user`. Some servers send an email to confirm the address before the first sign-in.
    """
    body = request.parse_body(CredentialsRequest)
    user = services.sign_in.register(body.email, body.password, request.caller.address)
    message = "The account was created. If you receive an email, confirm your address before you sign in"
    return {"success": True, "message": message, "data": _user_response(user)}, 201


def login(services: Services, request: ApiRequest) -> HandlerResult:
    """Sign in with email address and password.

    Returns an access token, which is sent with other requests, and a refresh token to get the next access token.
    """
    body = request.parse_body(CredentialsRequest)
    return _session_response(services.sign_in.login(body.email, body.password, request.caller.address))


def refresh(services: Services, request: ApiRequest) -> HandlerResult:
    """Exchange a refresh token for new tokens.

    A refresh token is valid once.
    """
    refresh_token = request.parse_body(RefreshRequest).refresh_token
    return _session_response(services.sign_in.refresh(refresh_token, request.caller.address))


def logout(services: Services, request: ApiRequest) -> HandlerResult:
    """Sign out.

    Revokes all refresh tokens of the user. Access tokens stay valid until they expire.
    """
    services.sign_in.logout(request.token)
    return {"success": True, "message": "Signed out. The access token stays valid until it expires"}


def get_current_user(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the signed-in user."""
    caller = request.caller
    role = "admin" if caller.is_admin else "user"
    data = {"user_id": caller.user, "email": caller.email, "role": role, "is_admin": caller.is_admin}
    return {"success": True, "data": data}


def _user_response(user: User) -> dict[str, Any]:
    return {"user_id": user.id, "email": user.email, "role": user.role}


def _session_response(session: Session) -> dict[str, Any]:
    tokens = {"access_token": session.access_token, "refresh_token": session.refresh_token}
    return {"success": True, "data": {**_user_response(session.user), **tokens, "expires_in": session.expires_in}}

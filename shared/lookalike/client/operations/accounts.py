"""Accounts, and what is kept of their users."""

from typing import Any

from lookalike.client import models
from lookalike.client.calls import Call, operation
from lookalike.client.operations.common import data, nothing


class AccountOperations:
    """Accounts, and what is kept of their users."""

    @operation
    def register(self, email: str, password: str) -> Call[models.User]:
        """Create an account."""
        body = {"email": email, "password": password}
        return Call("POST", "/api/auth/register", data(models.User), body=body)

    @operation
    def login(self, email: str, password: str) -> Call[models.TokenSession]:
        """Get tokens for a password. Create a client with the access token to use it."""
        body = {"email": email, "password": password}
        return Call("POST", "/api/auth/login", data(models.TokenSession), body=body)

    @operation
    def refresh(self, refresh_token: str) -> Call[models.TokenSession]:
        """Exchange a refresh token for new tokens. It is valid once."""
        return Call("POST", "/api/auth/refresh", data(models.TokenSession), body={"refresh_token": refresh_token})

    @operation
    def logout(self) -> Call[None]:
        """Invalidate your refresh tokens."""
        return Call("POST", "/api/auth/logout", nothing, is_idempotent=True)

    @operation
    def user(self) -> Call[models.CurrentUser]:
        """Get the account of the token."""
        return Call("GET", "/api/auth/user", data(models.CurrentUser))

    @operation
    def export(self, *, links: bool = False) -> Call[dict[str, Any]]:
        """Get everything that is kept of you. With `links`, images have addresses that are valid for an hour."""
        return Call("GET", "/me/export", data(dict[str, Any]), query={"links": str(links).lower()})

    @operation
    def erase_account(self, password: str) -> Call[models.AccountReceipt]:
        """Erase everything that is kept of you, and your account."""
        return Call("DELETE", "/me", data(models.AccountReceipt), body={"password": password})

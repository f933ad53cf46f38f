"""Ports of user management: tokens, accounts, search history and rate limits."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from lookalike.domain.account import AccountPage
from lookalike.domain.history import Choice, PastSearch
from lookalike.domain.model import Session, User
from lookalike.domain.personal_data import AccountRecord


class Auth(Protocol):
    """Verification of access tokens."""

    def verify_token(self, token: str) -> User:
        """Return the user of an access token. Raises `Unauthenticated` if the token is invalid or has expired."""
        ...


class Accounts(Protocol):
    """User accounts and sessions. Every method raises `Unavailable` if the service cannot be reached.

    One instance serves all users, so it must not keep the session of a user.
    """

    def register(self, email: str, password: str) -> User:
        """Create an account with the role `user`.

        Raises `Conflict` if the email address is taken, and `InvalidField` if address or password are not accepted.
        """
        ...

    def sign_in(self, email: str, password: str) -> Session:
        """Return a new session. Raises `Unauthenticated`, the same for a wrong password and an unknown address."""
        ...

    def refresh(self, refresh_token: str) -> Session:
        """Exchange an unused refresh token for a new session. Raises `Unauthenticated`.

        A token that is used again later was probably stolen. It revokes all tokens derived from it.
        """
        ...

    def sign_out(self, access_token: str) -> None:
        """Revoke all refresh tokens of the user. Access tokens stay valid until they expire."""
        ...

    def set_role(self, email: str, role: str) -> User:
        """Set the role of an account, effective with the next token. For operators only.

        Raises `NotFound`, and `Misconfigured` if the service lacks the permission to change roles.
        """
        ...

    def verify_password(self, email: str, password: str) -> User:
        """Return the user with this password, without a new session. Raises `Unauthenticated` as `sign_in`."""
        ...

    def account_record(self, access_token: str) -> AccountRecord | None:
        """Return what is kept of the account that a token was issued for, or `None` if there is no such account.

        Raises `Unauthenticated` if the token is invalid.
        """
        ...

    def list_accounts(self, page: int, size: int) -> AccountPage:
        """Return a page of all accounts, with at most `size` of them. The first page is 1. For administrators only.

        Raises `Misconfigured` if the service lacks the permission to list accounts.
        """
        ...

    def delete_account(self, user: str) -> bool:
        """Delete the account with this user id, and its refresh tokens. Returns whether it existed.

        Raises `Misconfigured` if the service lacks the permission to delete accounts.
        """
        ...


class History(Protocol):
    """Past searches of users and the hits that they chose. A deleted garment disappears from all of them."""

    def save_searches(self, searches: Sequence[PastSearch], max_searches: int) -> None:
        """Insert or replace searches, and keep only the newest `max_searches` of each owner."""
        ...

    def list_searches(self, owner: str, limit: int, before: datetime | None = None) -> list[PastSearch]:
        """Return the owner's searches before that time, newest first, without their hits."""
        ...

    def get_search(self, owner: str, search_id: str) -> PastSearch | None:
        """Return one search of the owner with its hits and choices, or `None`."""
        ...

    def add_choice(self, owner: str, search_id: str, choice: Choice) -> Choice:
        """Record that the owner chose a hit of a search. A second choice of the same hit changes nothing.

        Returns the recorded choice, with the time of the first. It is deleted with its search and with its garment.
        Raises `NotFound` if the owner has no such search, or if the garment is not among its hits.
        """
        ...

    def list_chosen_searches(self, limit: int, after: tuple[str, str] | None = None) -> list[PastSearch]:
        """Return searches of all users that have a choice, with hits and choices, ordered by owner and id.

        `after` is owner and id of the last search of the page before.
        """
        ...

    def delete_searches(self, owner: str, search_id: str | None = None) -> int:
        """Delete one search of the owner, or all without an id. Returns the number of deleted searches."""
        ...


class Revocations(Protocol):
    """Access tokens that are refused before they expire, shared by all instances of the service."""

    def revoke_tokens(self, key: str, before: datetime) -> None:
        """Refuse the tokens of a user that were issued before that time.

        `key` is the user's hexadecimal SHA-256, since the user id itself must not be kept.
        """
        ...

    def revocations(self) -> dict[str, datetime]:
        """Return the time before which tokens are refused, by key."""
        ...

    def delete_expired_revocations(self, before: datetime) -> int:
        """Delete revocations made before that time. Returns their number."""
        ...


class Attempts(Protocol):
    """Rate limit counters, shared by all instances of the service."""

    def add_attempt(self, keys: Sequence[str], since: datetime) -> dict[str, int]:
        """Increment the counter of each key and return the new counts. Counters started before `since` restart at 1."""
        ...

    def count_in_window(self, key: str, start: datetime) -> int:
        """Increment the counter of a key in the window that began at `start`. Return its new count, 1 for the first.

        An earlier `start` than that of a previous call, from an instance with a slow clock, counts in the later window.
        """
        ...

    def reduce_attempts(self, keys: Sequence[str], count: int | None = None) -> None:
        """Subtract `count` from the counter of each key, to 0 at the lowest. Without `count`, reset the counters."""
        ...

    def delete_expired_attempts(self, before: datetime) -> int:
        """Delete counters started before that time. Returns their number."""
        ...

"""User accounts as administrators see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Account:
    """A user account. Times are in UTC."""

    id: str
    email: str
    role: str
    created: datetime | None = None
    """`None` if the service does not know it."""
    last_sign_in: datetime | None = None
    """Last sign-in with the password. `None` if there was none, or if the service does not know it."""


@dataclass(frozen=True, slots=True)
class AccountPage:
    """A page of accounts."""

    accounts: Sequence[Account]
    next_page: int | None
    """Number of the next page, which may be empty. `None` on the last page."""

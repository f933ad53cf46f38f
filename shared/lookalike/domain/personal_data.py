"""The data that are stored about a user: the account, uploaded photos, and revoked access tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lookalike.domain.model import Photo

MAX_TOKEN_LIFETIME = timedelta(days=7)
"""Longest lifetime of an access token. Supabase accepts at most 604,800 seconds as JWT expiry."""


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """Everything that the sign-in service keeps of an account, except passwords and tokens."""

    fields: Mapping[str, object]
    """JSON values by the names that the service uses."""
    sessions: int | None
    """Number of refresh tokens that are still valid. `None` if the service does not tell."""


@dataclass(frozen=True, slots=True)
class OwnedPhoto:
    """A photo with the time at which it was stored."""

    photo: Photo
    created: datetime

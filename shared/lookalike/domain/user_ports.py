"""What the use cases need from outside to know users. As with `ports`, every one has a contract test for all its adapters and fakes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from lookalike.domain.model import PastSearch, Session, User


class Accounts(Protocol):
    """Those who may sign in. Raises `Unavailable` while the service is away. Keeps nothing of one user for another."""

    def register(self, email: str, password: str) -> User:
        """Raises `Conflict` where the address is taken, `InvalidField` for an address or a password that is not accepted."""
        ...

    def sign_in(self, email: str, password: str) -> Session:
        """Raises `Unauthenticated`, the same for a wrong password and an unknown address."""
        ...

    def refresh(self, refresh_token: str) -> Session:
        """A new pair of tokens for one that was not used yet. Raises `Unauthenticated`.

        One that comes again, later, was stolen from somebody: all tokens that followed from it are no longer taken.
        """
        ...

    def sign_out(self, access_token: str) -> None:
        """No refresh token of this user is taken any more. Access tokens are good until they run out."""
        ...

    def set_role(self, email: str, role: str) -> User:
        """What an operator may do: in effect with the next tokens. Raises `NotFound`, `Misconfigured` without the right."""
        ...


class History(Protocol):
    """What users searched for. A garment that is deleted is in none of them any more."""

    def save_search(self, search: PastSearch, max_searches: int) -> None:
        """Insert or replace; of its owner's the newest `most` stay."""
        ...

    def list_searches(self, owner: str, limit: int, before: datetime | None = None) -> list[PastSearch]:
        """The newest first, without their hits."""
        ...

    def get_search(self, owner: str, search_id: str) -> PastSearch | None: ...

    def delete_searches(self, owner: str, search_id: str | None = None) -> int:
        """One, or all of that owner's; how many."""
        ...


class Attempts(Protocol):
    """How often something was tried, across all instances."""

    def add_attempt(self, keys: Sequence[str], since: datetime) -> dict[str, int]:
        """One more under each of the keys; how many there are now. Counts that began before `since` begin anew."""
        ...

    def reduce_attempts(self, keys: Sequence[str], count: int | None = None) -> None:
        """All under each of the keys, or so many at most."""
        ...

    def delete_expired_attempts(self, before: datetime) -> int:
        """Forget the counts that began before then; how many."""
        ...

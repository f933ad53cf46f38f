"""Port of the stored API keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from lookalike.domain.api_keys import ApiKey, KeyUse


class ApiKeyStore(Protocol):
    """API keys, without their secrets. Every method raises `Unavailable` if the database cannot be reached."""

    def add_api_key(self, key: ApiKey) -> None:
        """Store a new key. Raises `Conflict` if the id exists, and `InvalidField` if a text is too long."""
        ...

    def api_key(self, key_id: str) -> ApiKey | None:
        """Return a key, or `None` if it does not exist. Revoked and expired keys are returned, too."""
        ...

    def list_api_keys(self) -> list[ApiKey]:
        """Return all keys, newest first, those of the same time in the order of their ids."""
        ...

    def revoke_api_key(self, key_id: str, moment: datetime) -> ApiKey | None:
        """Revoke a key and return it, or `None` if it does not exist. A revoked key keeps the time of its revocation."""
        ...

    def record_key_uses(self, uses: Sequence[KeyUse]) -> None:
        """Set `last_used` of the keys, unless it is later already. Ignores keys that do not exist."""
        ...

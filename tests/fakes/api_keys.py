"""API keys of the catalog in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lookalike.adapters.catalog.api_keys import api_key_row
from lookalike.domain.api_keys import ApiKey, KeyUse
from lookalike.domain.errors import Conflict
from tests.fakes.database import transaction
from tests.fakes.jobs import FakeJobs


class FakeApiKeys(FakeJobs):
    """Implementation of the port `ApiKeyStore`."""

    def __init__(self) -> None:
        super().__init__()
        self._api_keys: dict[str, ApiKey] = {}

    @transaction
    def add_api_key(self, key: ApiKey) -> None:
        api_key_row(key)
        if key.id in self._api_keys:
            raise Conflict("A key with this id exists already")
        self._api_keys[key.id] = key

    @transaction
    def api_key(self, key_id: str) -> ApiKey | None:
        return self._api_keys.get(key_id)

    @transaction
    def list_api_keys(self) -> list[ApiKey]:
        return sorted(self._api_keys.values(), key=lambda key: (-key.created.timestamp(), key.id))

    @transaction
    def revoke_api_key(self, key_id: str, moment: datetime) -> ApiKey | None:
        key = self._api_keys.get(key_id)
        if key and key.revoked is None:
            key = self._api_keys[key_id] = replace(key, revoked=moment)
        return key

    @transaction
    def record_key_uses(self, uses: Sequence[KeyUse]) -> None:
        for use in uses:
            key = self._api_keys.get(use.key_id)
            if key and (key.last_used is None or key.last_used < use.moment):
                self._api_keys[key.id] = replace(key, last_used=use.moment)

"""API keys: create, list, revoke and verify them."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hmac import compare_digest

from lookalike.domain.api_keys import (
    MAX_REQUESTS_PER_MINUTE,
    ApiKey,
    KeyRole,
    KeyUse,
    create_key_text,
    key_signature,
    parse_key_text,
)
from lookalike.domain.errors import Forbidden, InvalidField, NotFound, Unauthenticated
from lookalike.domain.model import Caller
from lookalike.domain.ports import ApiKeyStore, Clock
from lookalike.usecases.deferred_writes import DeferredWrites

log = logging.getLogger("lookalike.api_keys")
USE_INTERVAL = timedelta(minutes=1)
"""Uses of a key that follow a recorded one within this time are not recorded."""
ORIGIN = re.compile(r"https?://[\w.\[\]:-]+")
MAX_NAME_LENGTH, MAX_ORIGINS_LENGTH, MAX_FILTER_LENGTH = 200, 4000, 4000
"""Characters of the name, of all origins together, and of the filter as JSON."""
INVALID_MESSAGE = "The API key is not valid. Check that it was copied as a whole, or create a new one"


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """Name, rights and lifetime of a new key."""

    role: KeyRole = KeyRole.SEARCH
    name: str = ""
    filter: Mapping[str, object] = field(default_factory=dict)
    """Conditions in the form of the API's field `filter`. Checked by the caller."""
    requests_per_minute: int = 0
    requests_per_address: int = 0
    origins: Sequence[str] = ()
    lifetime: timedelta | None = None
    """`None`: the key does not expire."""


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """Operations on API keys. `signing_key` signs them: with another one, all existing keys are invalid."""

    store: ApiKeyStore
    signing_key: bytes = field(repr=False)
    clock: Clock
    deferred: DeferredWrites

    def create(self, request: KeyRequest, creator: Caller | None = None) -> tuple[ApiKey, str]:
        """Store a new key. Return it and its text, which cannot be shown again.

        `creator` is the sender of the request, `None` for an operator. Raises `InvalidField`, and `Forbidden` if a key
        would create one of an administrator: a thief of the key could keep its rights after it is revoked.
        """
        if request.role is KeyRole.ADMIN and creator and creator.key:
            raise Forbidden(
                "An API key cannot create another key with the role admin: sign in as an administrator, or run "
                "`lookalike keys create --role admin`"
            )
        _check_request(request)
        text = create_key_text(self.signing_key)
        parsed = parse_key_text(text, self.signing_key)
        assert parsed is not None
        # whole seconds are enough, and every database stores them unchanged
        created = self.clock().replace(microsecond=0)
        key = ApiKey(
            parsed.key_id,
            request.name,
            request.role,
            parsed.secret_sha256,
            json.dumps(request.filter, sort_keys=True),
            request.requests_per_minute,
            request.requests_per_address,
            tuple(request.origins),
            created,
            created + request.lifetime if request.lifetime is not None else None,
        )
        key = replace(key, signature=key_signature(key, self.signing_key))
        self.store.add_api_key(key)
        return key, text

    def list_keys(self) -> list[ApiKey]:
        """Return all keys, newest first."""
        self.deferred.wait()
        return self.store.list_api_keys()

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key. The next request with it is refused, by all instances. Raises `NotFound`."""
        key = self.store.revoke_api_key(key_id, self.clock().replace(microsecond=0))
        if key is None:
            raise NotFound(f"There is no API key with the id {key_id!r}; `lookalike keys list` shows all ids")
        return key

    def verify(self, text: str, origin: str) -> ApiKey:
        """Return the key with this text. `origin` is that of the web page that sent the request, or "".

        Raises `Unauthenticated` for an unknown, expired or revoked key, and `Forbidden` for pages that may not use it.
        Reads the database once, and not at all for a text that this installation has not signed.
        """
        key, now = self._find(text), self.clock()
        if key.revoked is not None:
            raise Unauthenticated("The API key was revoked: ask the operator for a new one")
        if key.expires is not None and now >= key.expires:
            raise Unauthenticated(f"The API key has expired on {key.expires:%Y-%m-%d}: ask the operator for a new one")
        # Browsers send the origin with every request to another origin. Other programs can send any origin or none, so
        # that this only prevents other web pages from using the key.
        if key.origins and origin and origin not in key.origins:
            raise Forbidden("The API key may not be used by web pages of this origin; the operator has to allow it")
        self._record_use(key, now)
        return key

    def _find(self, text: str) -> ApiKey:
        parsed = parse_key_text(text, self.signing_key)
        key = self.store.api_key(parsed.key_id) if parsed else None
        if parsed is None or key is None or not compare_digest(parsed.secret_sha256, key.secret_sha256):
            raise Unauthenticated(INVALID_MESSAGE)
        if not compare_digest(key.signature, key_signature(key, self.signing_key)):
            log.error("An API key was changed in the database and is refused", extra={"key_id": key.id})
            raise Unauthenticated(INVALID_MESSAGE)
        return key

    def _record_use(self, key: ApiKey, now: datetime) -> None:
        if key.last_used is None or now - key.last_used >= USE_INTERVAL:
            self.deferred.add(self.store.record_key_uses, KeyUse(key.id, now))


def _check_request(request: KeyRequest) -> None:
    """Raise `InvalidField` for a request that makes no sense or does not fit the database."""
    for name, limit in (("per_minute", request.requests_per_minute), ("per_address", request.requests_per_address)):
        if not 0 <= limit <= MAX_REQUESTS_PER_MINUTE:
            message = f"{name}: must be from 0, which means no limit, to {MAX_REQUESTS_PER_MINUTE:,}"
            raise InvalidField(message, field=name)
    if request.lifetime is not None and request.lifetime <= timedelta():
        raise InvalidField("expires: must be in the future", field="expires")
    if request.role is KeyRole.ADMIN and (request.filter or request.origins):
        message = "role: a key of an administrator cannot have a filter or origins, since it may change everything"
        raise InvalidField(message, field="role")
    for origin in request.origins:
        if not ORIGIN.fullmatch(origin):
            message = f"origin: {origin[:100]!r} is not valid; use the form https://shop.example, without a path"
            raise InvalidField(message, field="origins")
    _check_lengths(request)


def _check_lengths(request: KeyRequest) -> None:
    limits = {
        "name": (request.name, MAX_NAME_LENGTH),
        "origin": (" ".join(request.origins), MAX_ORIGINS_LENGTH),
        "filter": (json.dumps(request.filter), MAX_FILTER_LENGTH),
    }
    for name, (text, limit) in limits.items():
        if len(text) > limit:
            raise InvalidField(f"{name}: {len(text)} characters are too many, at most {limit} are stored", field=name)

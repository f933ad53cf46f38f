"""Tokens of a Supabase project, verified here: with its published keys, or with the secret of projects that still sign HS256."""

import threading
import time
from collections.abc import Callable
from typing import Any

import jwt

from lookalike.domain.errors import Unauthenticated, Unavailable
from lookalike.domain.model import User

AUDIENCE = "authenticated"
PUBLISHED = ("ES256", "RS256")
KEPT, PAUSE = 600.0, 60.0
"""Seconds for which keys are kept, and between two looks for one that is unknown: a flood of them costs one a minute."""
LEEWAY = 10
"""Seconds by which clocks may differ."""


class SupabaseAuth:
    """The port `Auth`. `url` is the project's address; keys are fetched with the first token, once a process."""

    def __init__(self, url: str, hs256_secret: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = f"{url.rstrip('/')}/auth/v1"
        self._secret, self._clock = hs256_secret, clock
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched: float | None = None

    def user(self, token: str) -> User:
        """Raises `Unauthenticated`, and `Unavailable` while the keys cannot be had."""
        try:
            key, algorithms = self._key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=self._issuer,
                audience=AUDIENCE,
                leeway=LEEWAY,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated("The token is not valid, or no longer") from error
        return User.from_claims(claims)

    def _key(self, header: dict[str, Any]) -> tuple[Any, list[str]]:
        """The algorithm is ours to choose, not the token's: a published key never verifies HS256."""
        if self._secret and header.get("alg") == "HS256":
            return self._secret, ["HS256"]
        found = self._published(str(header.get("kid")))
        if found is None or found.algorithm_name not in PUBLISHED:
            raise jwt.InvalidKeyError("No such key")
        return found.key, [found.algorithm_name]

    def _published(self, kid: str) -> jwt.PyJWK | None:
        with self._lock:
            age = KEPT if self._fetched is None else self._clock() - self._fetched
            if age >= KEPT or (kid not in self._keys and age >= PAUSE):
                self._fetch()
            return self._keys.get(kid)

    def _fetch(self) -> None:
        try:
            client = jwt.PyJWKClient(f"{self._issuer}/.well-known/jwks.json", cache_jwk_set=False, timeout=5)
            found = client.get_jwk_set().keys
        except jwt.PyJWKClientError as error:
            # old keys are better than none, for as long as the service is away
            if self._fetched is None:
                raise Unavailable("The keys of the sign-in service cannot be had") from error
            found = list(self._keys.values())
        except jwt.PyJWKSetError:
            found = []
        self._fetched = self._clock()
        self._keys = {str(key.key_id): key for key in found}

"""Verification of Supabase access tokens, with the project's published keys or the shared secret of older projects."""

import threading
import time
from collections.abc import Callable
from typing import Any

import jwt

from lookalike.domain.errors import Unauthenticated, Unavailable
from lookalike.domain.model import User

AUDIENCE = "authenticated"
ASYMMETRIC_ALGORITHMS = ("ES256", "RS256")
KEY_CACHE_SECONDS, MIN_FETCH_INTERVAL = 600.0, 60.0
"""Age at which keys are fetched again, and seconds between fetches for unknown key ids.

The interval limits tokens with random key ids to one fetch per minute.
"""
FETCH_TIMEOUT_SECONDS = 5
CLOCK_SKEW_SECONDS = 10
"""Tolerated difference between this clock and the one of Supabase."""


class SupabaseAuth:
    """Supabase implementation of the port `Auth`.

    `url` is the address of the project. Its keys are fetched with the first token and cached per process.
    """

    def __init__(self, url: str, hs256_secret: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = f"{url.rstrip('/')}/auth/v1"
        self._secret, self._clock = hs256_secret, clock
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None

    def verify_token(self, token: str) -> User:
        """Verify an access token and return its user.

        Raises `Unauthenticated`, and `Unavailable` if the keys cannot be fetched.
        """
        try:
            key, algorithms = self._verification_key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                issuer=self._issuer,
                audience=AUDIENCE,
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated("The token is invalid or has expired: sign in again") from error
        return User.from_claims(claims)

    def _verification_key(self, header: dict[str, Any]) -> tuple[Any, list[str]]:
        """Return the key and the algorithms to accept with it."""
        # The algorithm belongs to the key, not to the token. A token that names HS256 would otherwise be verified with
        # the text of a public key as secret, which everybody knows (algorithm confusion).
        if self._secret and header.get("alg") == "HS256":
            return self._secret, ["HS256"]
        key = self._published_key(str(header.get("kid")))
        if key is None or key.algorithm_name not in ASYMMETRIC_ALGORITHMS:
            raise jwt.InvalidKeyError("The key id is unknown")
        return key.key, [key.algorithm_name]

    def _published_key(self, key_id: str) -> jwt.PyJWK | None:
        with self._lock:
            age = KEY_CACHE_SECONDS if self._fetched_at is None else self._clock() - self._fetched_at
            if age >= KEY_CACHE_SECONDS or (key_id not in self._keys and age >= MIN_FETCH_INTERVAL):
                self._fetch_keys()
            return self._keys.get(key_id)

    def _fetch_keys(self) -> None:
        try:
            url = f"{self._issuer}/.well-known/jwks.json"
            client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT_SECONDS)
            keys = client.get_jwk_set().keys
        except jwt.PyJWKClientError as error:
            # Keep the old keys while the service is unavailable.
            if self._fetched_at is None:
                raise Unavailable("The keys of the sign-in service cannot be fetched") from error
            keys = list(self._keys.values())
        except jwt.PyJWKSetError:
            # The key set is empty or has only keys of unsupported types.
            keys = []
        self._fetched_at = self._clock()
        self._keys = {str(key.key_id): key for key in keys}

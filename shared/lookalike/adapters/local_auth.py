"""Tokens signed with a secret of this machine, with the claims that Supabase's have."""

import time

import jwt

from lookalike.domain.errors import Unauthenticated
from lookalike.domain.model import User

ISSUER, AUDIENCE, ALGORITHM = "lookalike-local", "authenticated", "HS256"


class LocalAuth:
    """The port `Auth`. The secret has at least 32 characters."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def user(self, token: str) -> User:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("The token is not valid, or no longer") from error
        return User.from_claims(claims)

    def issue(self, user: User, seconds: int) -> str:
        """A token of that user, valid for so long."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.id,
            "iat": now,
            "exp": now + seconds,
            "email": user.email,
            "app_metadata": {"role": user.role},
        }
        return jwt.encode(claims, self._secret, ALGORITHM)

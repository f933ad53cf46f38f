"""Access tokens signed with a secret of this machine. They have the same claims as Supabase's."""

import time

import jwt

from lookalike.domain.errors import Unauthenticated
from lookalike.domain.model import User

ISSUER, AUDIENCE, ALGORITHM = "lookalike-local", "authenticated", "HS256"


class LocalAuth:
    """Local implementation of the port `Auth`. The secret must have at least 32 characters."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def verify_token(self, token: str) -> User:
        """Verify an access token and return its user. Raises `Unauthenticated`."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                # Fixed here: the algorithm in the token's header is chosen by its sender.
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("The token is invalid or has expired: sign in again") from error
        return User.from_claims(claims)

    def issue(self, user: User, expires_in: int) -> str:
        """Return an access token for the user, valid for `expires_in` seconds."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user.id,
            "iat": now,
            "exp": now + expires_in,
            "email": user.email,
            "app_metadata": {"role": user.role},
        }
        return jwt.encode(claims, self._secret, ALGORITHM)

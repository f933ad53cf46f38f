"""Registration and sign-in, with rate limits against password guessing."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from lookalike.domain.client_network import client_network
from lookalike.domain.errors import InvalidField, TooManyAttempts, Unauthenticated, Unavailable
from lookalike.domain.model import Session, User
from lookalike.domain.ports import Accounts, Attempts, Clock

T = TypeVar("T")
ATTEMPT_WINDOW = timedelta(minutes=15)
"""Period over which attempts are counted. The limits below are attempts per window."""
MAX_LOGINS_PER_ADDRESS, MAX_LOGINS_PER_ACCOUNT, MAX_REGISTRATIONS_PER_ADDRESS = 50, 10, 20
"""Limits of failed sign-ins from an address and to an account, and of registrations from an address."""
MAX_REFRESHES_PER_ADDRESS = 500
MAX_EMAIL_LENGTH = 254
"""Maximum of RFC 5321, as clarified in RFC 3696 erratum 1690."""
MAX_PASSWORD_LENGTH = 1000
"""Characters. Hashing longer passwords would cost too much time."""
EMAIL_PATTERN = re.compile(
    r"[^@\s\x00-\x1f\ud800-\udfff]{1,64}@[^@\s\x00-\x1f\ud800-\udfff]+\.[^@\s.\x00-\x1f\ud800-\udfff]+"
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """Sign-in operations. `address` is the client's network address, by which all instances count attempts together."""

    accounts: Accounts
    attempts: Attempts
    clock: Clock

    def register(self, email: str, password: str, address: str) -> User:
        """Create an account with the role `user`. Raises `InvalidField`, `Conflict`, `TooManyAttempts`."""
        _check_credentials(email, password)
        self._count_attempt({f"register:{client_network(address)}": MAX_REGISTRATIONS_PER_ADDRESS})
        return self.accounts.register(email.strip(), password)

    def login(self, email: str, password: str, address: str) -> Session:
        """Return a new session. Raises `Unauthenticated`, and `TooManyAttempts` without checking the password."""
        return self._check_password(self.accounts.sign_in, email, password, address)

    def confirm(self, user: str, email: str, password: str, address: str) -> None:
        """Check that the caller knows the password of their account. Raises as `login`. Creates no session."""
        confirmed = self._check_password(self.accounts.verify_password, email, password, address)
        if confirmed.id != user:
            raise Unauthenticated("The email address of the access token belongs to another account now: sign in again")

    def _check_password(self, check: Callable[[str, str], T], email: str, password: str, address: str) -> T:
        account_key, address_key = f"account:{email.strip().lower()}", f"login:{client_network(address)}"
        # Counted before the password is checked: concurrent guesses must not slip through together.
        self._count_attempt({account_key: MAX_LOGINS_PER_ACCOUNT, address_key: MAX_LOGINS_PER_ADDRESS})
        try:
            # one character more than allowed, so that a password that is too long stays wrong
            checked = check(email.strip(), password[: MAX_PASSWORD_LENGTH + 1])
        except Unavailable:
            # the password was not checked, so this was not an attempt
            self.attempts.reduce_attempts([account_key, address_key], count=1)
            raise
        # A correct password resets the account's counter. The address' counter only loses this attempt: otherwise an
        # attacker could reset it by signing in to their own account, and continue to guess passwords of others.
        self.attempts.reduce_attempts([account_key])
        self.attempts.reduce_attempts([address_key], count=1)
        return checked

    def refresh(self, refresh_token: str, address: str) -> Session:
        """Exchange a refresh token for a new session. Raises `Unauthenticated`, `TooManyAttempts`."""
        self._count_attempt({f"refresh:{client_network(address)}": MAX_REFRESHES_PER_ADDRESS})
        return self.accounts.refresh(refresh_token)

    def logout(self, access_token: str) -> None:
        """Revoke the refresh tokens of the user. Raises `Unauthenticated`."""
        self.accounts.sign_out(access_token)

    def _count_attempt(self, limits: dict[str, int]) -> None:
        counts = self.attempts.add_attempt([*limits], self.clock() - ATTEMPT_WINDOW)
        if any(counts[key] > limits[key] for key in limits):
            minutes = int(ATTEMPT_WINDOW.total_seconds() // 60)
            raise TooManyAttempts(f"Too many attempts: try again in {minutes} minutes")


def _check_credentials(email: str, password: str) -> None:
    if len(email) > MAX_EMAIL_LENGTH or not EMAIL_PATTERN.fullmatch(email.strip()):
        raise InvalidField("email: must be a valid address, such as name@example.com", field="email")
    if len(password) > MAX_PASSWORD_LENGTH:
        message = f"password: {len(password)} characters are too many, at most {MAX_PASSWORD_LENGTH} are accepted"
        raise InvalidField(message, field="password")

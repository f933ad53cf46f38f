"""Somebody registers, signs in, goes on, signs out; and nobody tries passwords for long."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta

from lookalike.domain.errors import InvalidField, TooManyAttempts, Unavailable
from lookalike.domain.model import Session, User
from lookalike.domain.ports import Accounts, Attempts, Clock

ATTEMPT_WINDOW = timedelta(minutes=15)
MAX_LOGINS_PER_ADDRESS, MAX_LOGINS_PER_ACCOUNT, MAX_REGISTRATIONS_PER_ADDRESS = 50, 10, 20
"""Attempts in `WINDOW`: to sign in from one address and to one account, that failed; and to register from one address."""
MAX_REFRESHES_PER_ADDRESS = 500
MAX_PASSWORD_LENGTH = 1000
"""Characters of a password: to hash more takes long."""
EMAIL_PATTERN = re.compile(
    r"[^@\s\x00-\x1f\ud800-\udfff]{1,64}@[^@\s\x00-\x1f\ud800-\udfff]+\.[^@\s.\x00-\x1f\ud800-\udfff]+"
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """`address` is where a request came from. Counts are kept for all instances together."""

    accounts: Accounts
    attempts: Attempts
    clock: Clock

    def register(self, email: str, password: str, address: str) -> User:
        """Raises `InvalidField`, `Conflict`, `TooManyAttempts`. Whoever registers is a user, and no more."""
        _check(email, password)
        self._count({f"register:{_network(address)}": MAX_REGISTRATIONS_PER_ADDRESS})
        return self.accounts.register(email.strip(), password)

    def login(self, email: str, password: str, address: str) -> Session:
        """Raises `Unauthenticated`, and `TooManyAttempts` before the password is looked at."""
        account, place = f"account:{email.strip().lower()}", f"login:{_network(address)}"
        self._count({account: MAX_LOGINS_PER_ACCOUNT, place: MAX_LOGINS_PER_ADDRESS})
        try:
            session = self.accounts.sign_in(email.strip(), password[: MAX_PASSWORD_LENGTH + 1])
        except Unavailable:
            # nobody looked at the password
            self.attempts.reduce_attempts([account, place], count=1)
            raise
        # a right password ends the guessing of this one; that of others, from there, was no less for it
        self.attempts.reduce_attempts([account])
        self.attempts.reduce_attempts([place], count=1)
        return session

    def refresh(self, refresh_token: str, address: str) -> Session:
        """Raises `Unauthenticated`, `TooManyAttempts`."""
        self._count({f"refresh:{_network(address)}": MAX_REFRESHES_PER_ADDRESS})
        return self.accounts.refresh(refresh_token)

    def logout(self, access_token: str) -> None:
        """Raises `Unauthenticated`."""
        self.accounts.sign_out(access_token)

    def _count(self, most: dict[str, int]) -> None:
        found = self.attempts.add_attempt([*most], self.clock() - ATTEMPT_WINDOW)
        if any(found[key] > most[key] for key in most):
            raise TooManyAttempts("Too many attempts: try again in a quarter of an hour")


def _check(email: str, password: str) -> None:
    if len(email) > 254 or not EMAIL_PATTERN.fullmatch(email.strip()):
        raise InvalidField("email: that is no e-mail address", field="email")
    if len(password) > MAX_PASSWORD_LENGTH:
        raise InvalidField(f"password: at most {MAX_PASSWORD_LENGTH} characters are accepted", field="password")


def _network(address: str) -> str:
    """What one customer has: of IPv6 a whole network of 64 bits."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    plain = found if found.version == 4 else found.ipv4_mapped
    return str(plain or ipaddress.ip_network((found, 64), strict=False))

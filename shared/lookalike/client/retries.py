"""When and after which time a request is sent again."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRIED_STATUSES = frozenset({429, 503})
MAX_JITTER = 0.25
"""Largest part of a wait that is added or left out at random, so that many clients do not return at the same time."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of retries. Only requests that may be repeated without a further effect are retried."""

    retries: int = 3
    """Number of times that a request is sent again. 0: never."""
    first_wait: float = 0.5
    """Seconds before the first retry if the response has no `Retry-After`; doubled each time."""
    max_wait: float = 60.0
    """Largest wait in seconds. If the server asks for a longer one, its error is raised at once."""

    def wait_seconds(self, retry: int, retry_after: str | None) -> float | None:
        """Return the seconds to wait before a retry, or `None` if there must be no retry.

        `retry` is the number of retries before this one, and `retry_after` the header of the response.
        """
        if retry >= self.retries:
            return None
        asked = parse_retry_after(retry_after)
        if asked is None:
            return min(self.first_wait * float(2**retry), self.max_wait) * random.uniform(1 - MAX_JITTER, 1)
        # never earlier than the server asks for
        return None if asked > self.max_wait else asked + random.uniform(0, MAX_JITTER) * max(asked, 1)


def parse_retry_after(text: str | None) -> float | None:
    """Return the seconds of a header `Retry-After`, which is a number or a date. `None` if it is missing or invalid."""
    if not text:
        return None
    try:
        return max(0.0, float(int(text)))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())

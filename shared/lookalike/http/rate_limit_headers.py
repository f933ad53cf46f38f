"""Response headers `RateLimit-Policy` and `RateLimit`, as in draft-ietf-httpapi-ratelimit-headers-11 (May 2026)."""

from collections.abc import Sequence

from lookalike.usecases.rate_limits import WINDOW_SECONDS, ServiceLimit


def rate_limit_headers(limits: Sequence[ServiceLimit]) -> dict[str, str]:
    """Return the headers, none without limits. Both values are lists of structured fields (RFC 9651).

    `q` is the quota of the policy, `w` its window in seconds, `r` the remaining quota, and `t` the seconds until the
    next window.
    """
    if not limits:
        return {}
    policies = [f'"{limit.policy.name}";q={limit.policy.quota};w={WINDOW_SECONDS}' for limit in limits]
    states = [f'"{limit.policy.name}";r={limit.remaining};t={limit.reset_seconds}' for limit in limits]
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}

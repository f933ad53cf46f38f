"""HTTP requests to addresses that others choose, without server-side request forgery (SSRF).

Shared by the adapters that fetch pictures and send webhooks. A host is resolved once. All of its addresses are checked,
and the connection is made to one of exactly these, so a second answer of the name server has no effect (DNS rebinding).

Built on `http.client` of the standard library: a connection to a checked address is one overridden method, and host
header, server name indication and verification of the certificate keep the host name. No HTTP library is a dependency
of the core; with `httpx`, the same needs a network backend of its own, and a proxy in the environment would resolve the
name again. `http.client` uses no proxy and decodes no compressed bodies.
"""

from lookalike.adapters.checked_http.client import CheckedHttp, WebRequest, WebResponse
from lookalike.adapters.checked_http.connection import Resolver, Timeouts, resolve_host
from lookalike.adapters.checked_http.host_limits import HostLimits
from lookalike.adapters.checked_http.retries import RetryPolicy, send_with_retries

__all__ = [
    "CheckedHttp",
    "HostLimits",
    "Resolver",
    "RetryPolicy",
    "Timeouts",
    "WebRequest",
    "WebResponse",
    "resolve_host",
    "send_with_retries",
]

"""Cache of Google storage clients, one per process, endpoint and credentials."""

import os
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.storage import Client
    from requests import Response

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""OAuth scope. The library's default covers storage only, which does not permit signing URLs by IAM."""
MAX_CONNECTIONS = 64
"""Pooled HTTP connections of a client."""


class ClientCache:
    """Thread-safe cache with one client per endpoint and credentials. A forked process gets separate clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[tuple[int, str, Credentials | None], Client] = {}

    def get(self, endpoint: str, credentials: "Credentials | None") -> "Client":
        """Return the client. Without credentials, those of the machine are used.

        Raises Google's `DefaultCredentialsError` if the machine has none.
        """
        # The process id: connections that are shared with a parent process would mix up responses.
        key = os.getpid(), endpoint, credentials
        with self._lock:
            if key not in self._clients:
                self._clients[key] = _connect(endpoint, credentials or _machine_credentials())
            return self._clients[key]


SHARED_CLIENTS = ClientCache()


def _machine_credentials() -> "Credentials":
    import google.auth

    return google.auth.default(scopes=[SCOPE])[0]


def _connect(endpoint: str, credentials: "Credentials") -> "Client":
    """Return a client whose session pools `MAX_CONNECTIONS` connections; by default it keeps ten."""
    from google.auth.credentials import with_scopes_if_required
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

    # Disables a background thread of the library that requests the bucket's metadata for tracing. It needs the
    # permission storage.buckets.get, which the service account does not have.
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    session = AuthorizedSession(with_scopes_if_required(credentials, [SCOPE]))
    session.hooks["response"].append(_read_unauthorized_response)
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=MAX_CONNECTIONS))
    return Client(project=None, credentials=credentials, _http=session, client_options={"api_endpoint": endpoint})


def _read_unauthorized_response(response: "Response", **_: object) -> None:
    """Read the body of a 401 response, so that its connection returns to the pool.

    google-auth repeats the request with new credentials and does not read the body of a streamed download.
    """
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        _body = response.content

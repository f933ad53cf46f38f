"""Google's client for storage: one a process, imported with the first call."""

import os
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.storage import Client
    from requests import Response

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""The library asks for storage alone, with which no address can be signed."""
CONNECTIONS = 64


class Clients:
    """One client for each endpoint and set of credentials in a process, and a new one after a fork. For many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[int, str, Credentials | None], Client] = {}

    def get(self, endpoint: str, credentials: "Credentials | None") -> "Client":
        """Raises google's `DefaultCredentialsError` where neither credentials are given nor the machine has some."""
        key = os.getpid(), endpoint, credentials
        with self._lock:
            if key not in self._made:
                self._made[key] = _connect(endpoint, credentials or _machine_credentials())
            return self._made[key]


CLIENTS = Clients()


def _machine_credentials() -> "Credentials":
    import google.auth

    return google.auth.default(scopes=[SCOPE])[0]


def _connect(endpoint: str, credentials: "Credentials") -> "Client":
    """With room for many threads: the session keeps ten connections by itself and throws the others away."""
    from google.auth.credentials import with_scopes_if_required
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

    # else every process asks for the bucket itself, from a thread behind our back, with a right that we do not need
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    session = AuthorizedSession(with_scopes_if_required(credentials, [SCOPE]))
    session.hooks["response"].append(_read_refusal)
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
    return Client(project=None, credentials=credentials, _http=session, client_options={"api_endpoint": endpoint})


def _read_refusal(response: "Response", **_: object) -> None:
    """google-auth asks again with new credentials and leaves a refused download unread: its connection would be lost."""
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        _read = response.content

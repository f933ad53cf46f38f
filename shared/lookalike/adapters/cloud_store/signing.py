"""Who signs addresses: the credentials' own key, or IAM for a service account that has none."""

import base64
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.auth.credentials import Signing
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.storage import Client


def signer(client: "Client", iam: str, timeout: float) -> "Signing":
    """Raises google's `InvalidOperation` for credentials that are no service account's, `RefreshError`."""
    from google.auth.credentials import Signing
    from google.auth.exceptions import InvalidOperation
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials

    own = client._http.credentials
    if isinstance(own, Signing):
        return own
    if not own.valid:
        # before this the metadata server's have no name but "default"
        own.refresh(partial(Request(), timeout=timeout))
    name = getattr(own, "service_account_email", None)
    if not name:
        raise InvalidOperation("Only a service account can sign")
    return Credentials(
        IamSigner(client._http, f"{iam}/v1/projects/-/serviceAccounts/{name}:signBlob", timeout), name, ""
    )


class IamSigner:
    """A signer for google's credentials that has no key: IAM signs. One request a signature."""

    key_id = None

    def __init__(self, session: "AuthorizedSession", address: str, timeout: float) -> None:
        self._session, self._address, self._timeout = session, address, timeout

    def sign(self, message: bytes) -> bytes:
        """Raises google's errors of the status that IAM answers with."""
        from google.api_core.exceptions import from_http_response

        payload = {"payload": base64.b64encode(message).decode()}
        answer = self._session.post(self._address, json=payload, timeout=self._timeout)
        if answer.status_code != HTTPStatus.OK:
            raise from_http_response(answer)
        return base64.b64decode(answer.json()["signedBlob"])

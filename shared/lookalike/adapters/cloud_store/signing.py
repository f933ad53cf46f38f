"""Credentials for signed URLs: a private key, or IAM for service accounts without one."""

import base64
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.auth.credentials import Signing
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.storage import Client


def signing_credentials(client: "Client", iam_endpoint: str, timeout: float) -> "Signing":
    """Return credentials that can sign. `timeout`: seconds for each request.

    Raises Google's `InvalidOperation` if the client's credentials are not of a service account, and `RefreshError`.
    """
    from google.auth.credentials import Signing
    from google.auth.exceptions import InvalidOperation
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials

    credentials = client._http.credentials
    if isinstance(credentials, Signing):
        return credentials
    if not credentials.valid:
        # Credentials of the metadata server contain the account only after a refresh; before, it is "default".
        credentials.refresh(partial(Request(), timeout=timeout))
    account = getattr(credentials, "service_account_email", None)
    if not account:
        raise InvalidOperation("Only a service account can sign URLs")
    url = f"{iam_endpoint}/v1/projects/-/serviceAccounts/{account}:signBlob"
    return Credentials(IamSigner(client._http, url, timeout), account, "")


class IamSigner:
    """Signer for Google credentials that calls IAM's `signBlob`, one request per signature."""

    key_id = None

    def __init__(self, session: "AuthorizedSession", url: str, timeout: float) -> None:
        self._session, self._url, self._timeout = session, url, timeout

    def sign(self, message: bytes) -> bytes:
        """Return the signature of the message. Raises Google's error for the status of a failed request."""
        from google.api_core.exceptions import from_http_response

        payload = {"payload": base64.b64encode(message).decode()}
        response = self._session.post(self._url, json=payload, timeout=self._timeout)
        if response.status_code != HTTPStatus.OK:
            raise from_http_response(response)
        return base64.b64decode(response.json()["signedBlob"])

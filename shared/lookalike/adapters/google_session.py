"""HTTP session with the Google credentials of the machine."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from requests import Session

SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def open_google_session() -> "Session":
    """Return a session that authorizes its requests. It gets and renews tokens when it is used.

    Raises Google's `DefaultCredentialsError` if the machine has no credentials.
    """
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    return AuthorizedSession(google.auth.default(scopes=[SCOPE])[0])

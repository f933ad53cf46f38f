"""Create the API key of releases and write it to a secret: `release_key.py projects/PROJECT/secrets/NAME`.

Earlier keys of releases are revoked. The key is not printed, because the output of a job is a log.
"""

import base64
import sys
from typing import Any

from lookalike.bootstrap import services
from lookalike.domain.api_keys import KeyRole
from lookalike.usecases.api_keys import ApiKeys, KeyRequest

NAME = "releases"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
API = "https://secretmanager.googleapis.com"


def replace_key(keys: ApiKeys, secret: str, session: Any, api: str = API) -> str:
    """Create a key, store it, and then revoke the earlier ones. Returns the id of the key."""
    earlier = [key for key in keys.list_keys() if key.name == NAME and key.revoked is None]
    key, text = keys.create(KeyRequest(KeyRole.ADMIN, NAME))
    try:
        _store(text, secret, session, api)
    except Exception:
        keys.revoke(key.id)
        raise
    for one in earlier:
        keys.revoke(one.id)
    return key.id


def _store(text: str, secret: str, session: Any, api: str) -> None:
    data = base64.b64encode(text.encode()).decode()
    response = session.post(f"{api}/v1/{secret}:addVersion", json={"payload": {"data": data}}, timeout=60)
    response.raise_for_status()


def main() -> None:
    """Replace the key of the database of the settings."""
    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=[SCOPE])
    (secret,) = sys.argv[1:]
    with AuthorizedSession(credentials) as session:
        key = replace_key(services().api_keys, secret, session)
    print(f"Stored the key {key} in {secret}")  # noqa: T201


if __name__ == "__main__":
    main()

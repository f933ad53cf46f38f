"""The sign-in service Supabase: its address, its keys, and the first administrator."""

import os
from typing import Any

from infra.deploy.deployment import Deployment
from infra.deploy.tools import StepFailed
from infra.release.http import Address, RequestFailed, call

CONSOLE = "https://supabase.com/dashboard"
PUBLIC_KEY, JWT_SECRET = "lookalike-supabase-key", "lookalike-supabase-jwt-secret"
"""Names of secrets."""
PAGE = 200
"""Users that are read at a time."""


def connect_sign_in(deployment: Deployment) -> bool:
    """Find out how Supabase signs tokens, and store the keys that the functions need as secrets."""
    url = (deployment.given.supabase_url or deployment.settings.supabase_url).rstrip("/")
    url = url or deployment.ask(f"Address of the Supabase project, from {CONSOLE}", "SUPABASE_URL").rstrip("/")
    signs_hs256 = not _published_keys(url)
    changed = _store_secret(deployment, PUBLIC_KEY, "Publishable (anon) key of Supabase", "SUPABASE_KEY")
    if signs_hs256:
        changed |= _store_secret(deployment, JWT_SECRET, "JWT secret of Supabase", "SUPABASE_JWT_SECRET")
    deployment.say(f"    {url}, tokens are signed with {'a shared secret' if signs_hs256 else 'published keys'}")
    return deployment.save_settings(supabase_url=url, supabase_signs_hs256=signs_hs256) or changed


def create_administrator(deployment: Deployment) -> bool:
    """Give an account the role of an administrator, and create it if it is missing."""
    email = deployment.given.administrator
    if not email:
        if not deployment.settings.administrator:
            deployment.pending.append("Make an administrator: run again with ADMIN=you@example.com")
        return False
    if email == deployment.settings.administrator:
        return False
    key = os.environ.get("SUPABASE_SERVICE_KEY") or deployment.ask_for_secret(
        "Secret (service_role) key of Supabase, which is not stored", "SUPABASE_SERVICE_KEY"
    )
    users = _Users(Address(deployment.settings.supabase_url), key)
    try:
        user = users.find(email)
        if user is None:
            question = f"{email} has no account yet. Password for it, at least 8 characters"
            user = users.create(email, deployment.ask_for_secret(question, "ADMIN to an account that exists"))
        users.make_administrator(user)
    except RequestFailed as error:
        raise StepFailed(
            f"Supabase refused: {error}", f"Check the key and the password. Keys are at {CONSOLE}."
        ) from error
    deployment.say(f"    {email} is an administrator from the next sign-in on")
    return deployment.save_settings(administrator=email)


class _Users:
    """Accounts of a Supabase project: https://supabase.com/docs/reference/api (Auth, admin)."""

    def __init__(self, address: Address, key: str) -> None:
        self.address, self.headers = address, {"apikey": key, "Authorization": f"Bearer {key}"}

    def find(self, email: str) -> Any:
        """Return an account, or `None`."""
        page = 1
        while True:
            users = self._call("GET", f"?page={page}&per_page={PAGE}")["users"]
            for user in users:
                if user["email"].lower() == email.lower():
                    return user
            if len(users) < PAGE:
                return None
            page += 1

    def create(self, email: str, password: str) -> Any:
        """Create an account whose address counts as confirmed."""
        return self._call("POST", "", {"email": email, "password": password, "email_confirm": True})

    def make_administrator(self, user: Any) -> None:
        """Set the role. Supabase keeps the other fields of `app_metadata`."""
        self._call("PUT", f"/{user['id']}", {"app_metadata": {"role": "admin"}})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return call(method, self.address, f"/auth/v1/admin/users{path}", body, self.headers)


def _published_keys(url: str) -> list[Any]:
    try:
        keys: list[Any] = call("GET", Address(url), "/auth/v1/.well-known/jwks.json")["keys"]
    except (RequestFailed, ValueError, KeyError, TypeError) as error:
        raise StepFailed(
            f"{url} does not answer as a Supabase project: {error}", f"Copy the address (Project URL) from {CONSOLE}."
        ) from error
    return keys


def _store_secret(deployment: Deployment, name: str, question: str, variable: str) -> bool:
    """Create a secret that is missing, or whose value is missing. Returns whether it was."""
    gcloud = deployment.gcloud
    exists = gcloud.find("secrets", "describe", name) is not None
    if exists and gcloud.json("secrets", "versions", "list", name, "--filter=state:ENABLED", "--limit=1"):
        return False
    value = os.environ.get(variable) or deployment.ask_for_secret(question, variable)
    if not exists:
        gcloud.run("secrets", "create", name, "--replication-policy=automatic")
    gcloud.run("secrets", "versions", "add", name, "--data-file=-", stdin=value)
    deployment.say(f"    stored the secret {name}")
    return True

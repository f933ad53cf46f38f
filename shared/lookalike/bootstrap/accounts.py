"""Build the sign-in adapters: local accounts on this machine, or a Supabase project."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from lookalike.bootstrap.secrets import Secrets
from lookalike.domain.ports import Accounts, Auth
from lookalike.settings import Settings

if TYPE_CHECKING:
    from lookalike.adapters.local_auth import LocalAuth


def open_auth(settings: Settings, secrets: Callable[[], Secrets]) -> Auth:
    """Return the adapter that verifies access tokens."""
    if settings.sign_in == "local:":
        return _open_local_auth(secrets())
    from lookalike.adapters.supabase_auth import SupabaseAuth

    return SupabaseAuth(settings.sign_in, settings.supabase_jwt_secret.get_secret_value())


def open_accounts(settings: Settings, secrets: Callable[[], Secrets]) -> Accounts:
    """Return the adapter that registers users and signs them in."""
    if settings.sign_in == "local:":
        from lookalike.adapters.local_accounts import LocalAccounts

        return LocalAccounts(settings.lookalike_home / "accounts.db", _open_local_auth(secrets()))
    from lookalike.adapters.supabase_accounts import SupabaseAccounts

    keys = settings.supabase_key, settings.supabase_service_key
    return SupabaseAccounts(settings.sign_in, *(key.get_secret_value() for key in keys))


def _open_local_auth(secrets: Secrets) -> "LocalAuth":
    from lookalike.adapters.local_auth import LocalAuth

    return LocalAuth(secrets.tokens)

"""Build what is about jobs, users, their keys and their data."""

from typing import TYPE_CHECKING

from lookalike.bootstrap import accounts
from lookalike.bootstrap.index import utc_now
from lookalike.bootstrap.lazy import lazy
from lookalike.bootstrap.secrets import Secrets
from lookalike.bootstrap.web import WebServices
from lookalike.domain.ports import Accounts, Attempts, Auth, Catalog, ObjectStore, Revocations
from lookalike.usecases.api_keys import ApiKeys
from lookalike.usecases.deferred_writes import DeferredWrites
from lookalike.usecases.erase import Erase
from lookalike.usecases.history import SearchHistory
from lookalike.usecases.jobs import Jobs
from lookalike.usecases.personal_data import PersonalData
from lookalike.usecases.rate_limits import RateLimits
from lookalike.usecases.revoked_tokens import RevokedTokens
from lookalike.usecases.sign_in import SignIn

if TYPE_CHECKING:
    from lookalike.adapters.catalog import SqlCatalog


class UserServices(WebServices):
    """The part of the services about jobs and users."""

    if TYPE_CHECKING:
        catalog: Catalog
        store: ObjectStore
        erase: Erase
        _sql_catalog: SqlCatalog
        _secrets: Secrets

        @property
        def _signing_key(self) -> bytes: ...

        @property
        def _time_limit(self) -> float: ...

        @property
        def _embedder_name_and_dim(self) -> tuple[str, int]: ...

    @lazy
    def jobs(self) -> Jobs:
        """Runs uploads and searches as jobs that every process can observe and cancel."""
        return Jobs(self.catalog, self._time_limit, self._deferred_writes)

    @lazy
    def history(self) -> SearchHistory:
        """Past searches of signed-in users."""
        embedder, _ = self._embedder_name_and_dim
        return SearchHistory(self._sql_catalog, self.catalog, utc_now, self._deferred_writes, embedder)

    @lazy
    def _deferred_writes(self) -> DeferredWrites:
        # on Cloud Run, an instance may have no processor between requests, so that a deferred write could take hours
        return DeferredWrites(is_deferred=not self.settings.k_service)

    @lazy
    def auth(self) -> Auth:
        """Verifies access tokens."""
        return accounts.open_auth(self.settings, lambda: self._secrets)

    @lazy
    def accounts(self) -> Accounts:
        """Registers users and signs them in."""
        return accounts.open_accounts(self.settings, lambda: self._secrets)

    @lazy
    def attempts(self) -> Attempts:
        """Counts failed sign-ins of all instances together."""
        return self._sql_catalog

    @lazy
    def sign_in(self) -> SignIn:
        """Registration and sign-in with limits on attempts."""
        return SignIn(self.accounts, self.attempts, utc_now)

    @lazy
    def api_keys(self) -> ApiKeys:
        """Creates, revokes and verifies API keys."""
        return ApiKeys(self._sql_catalog, self._signing_key, utc_now, self._deferred_writes)

    @lazy
    def rate_limits(self) -> RateLimits:
        """Counts requests of API keys and of anonymous addresses, for all instances together."""
        return RateLimits(self.attempts, utc_now, self.settings.rate_limit)

    @lazy
    def revoked_tokens(self) -> RevokedTokens:
        """Refuses access tokens of erased users."""
        return RevokedTokens(self.revocations, utc_now)

    @property
    def revocations(self) -> Revocations:
        """Users whose access tokens are refused."""
        return self._sql_catalog

    @lazy
    def personal_data(self) -> PersonalData:
        """Exports and erases what is kept of a user."""
        return PersonalData(
            self.catalog,
            self._sql_catalog,
            self.store,
            self.accounts,
            self.sign_in,
            self.erase,
            self.revoked_tokens,
            self._deferred_writes,
            utc_now,
        )

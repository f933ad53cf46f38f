"""Connections to Cloud SQL through Google's connector. They need no open port and can use IAM instead of a password."""

import os
import threading
from collections.abc import Callable
from typing import Any

from lookalike.adapters.catalog.database import MYSQL_CONNECT_ARGS
from lookalike.domain.errors import Unavailable


class CloudSql:
    """Opens connections to one instance, named `project:region:instance`.

    Uses one connector per process, created with the first connection and therefore after the host's fork. Without a
    password the service account authenticates by IAM.
    """

    def __init__(
        self,
        instance: str,
        user: str,
        password: str,
        database: str,
        make_connector: Callable[..., Any] | None = None,
    ) -> None:
        self._instance, self._user, self._password, self._database = instance, user, password, database
        self._make_connector = make_connector or _google_connector
        self._lock = threading.Lock()
        self._connectors: dict[int, Any] = {}

    def connect(self) -> Any:
        """Return a new PyMySQL connection. Raises `Unavailable` if the instance cannot be reached."""
        from pymysql.err import Error

        options: dict[str, Any] = {"user": self._user, "database": self._database, **MYSQL_CONNECT_ARGS}
        options |= {"password": self._password} if self._password else {"enable_iam_auth": True}
        try:
            return self._connector().connect(self._instance, "pymysql", **options)
        except Error:
            # Errors of the MySQL server pass unchanged: SQLAlchemy and `translate_errors` interpret them.
            raise
        except Exception as error:
            raise Unavailable(
                f"Cloud SQL instance {self._instance} cannot be reached ({type(error).__name__}): "
                "check CLOUD_SQL_INSTANCE and the permissions of the service account"
            ) from error

    def _connector(self) -> Any:
        with self._lock:
            process = os.getpid()
            if process not in self._connectors:
                # LAZY refreshes certificates on use. A background thread would get no CPU between requests.
                self._connectors[process] = self._make_connector(refresh_strategy="LAZY")
            return self._connectors[process]


def _google_connector(**options: Any) -> Any:
    from google.cloud.sql.connector import Connector

    return Connector(**options)

"""A Cloud SQL instance through Google's connector: no address, no open port, IAM instead of a password."""

import os
import threading
from collections.abc import Callable
from typing import Any

from lookalike.adapters.catalog.database import CONNECTION
from lookalike.domain.errors import Unavailable


class CloudSql:
    """Makes connections to one instance (`project:region:instance`).

    One connector a process, made with the first connection and so after the host's fork; it refreshes when asked, since
    an instance without requests gets no processor time. Without a password the service account signs in by IAM.
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
        self._make = make_connector or _google_connector
        self._lock = threading.Lock()
        self._connectors: dict[int, Any] = {}

    def connect(self) -> Any:
        """A PyMySQL connection. Raises `Unavailable`."""
        from pymysql.err import Error

        options: dict[str, Any] = {"user": self._user, "database": self._database, **CONNECTION}
        options |= {"password": self._password} if self._password else {"enable_iam_auth": True}
        try:
            return self._connector().connect(self._instance, "pymysql", **options)
        except Error:
            # the server's own answers, which the caller knows how to read
            raise
        except Exception as error:
            raise Unavailable(f"Cloud SQL cannot be reached: {type(error).__name__}") from error

    def _connector(self) -> Any:
        with self._lock:
            process = os.getpid()
            if process not in self._connectors:
                self._connectors[process] = self._make(refresh_strategy="LAZY")
            return self._connectors[process]


def _google_connector(**options: Any) -> Any:
    from google.cloud.sql.connector import Connector

    return Connector(**options)

"""Cloud SQL connections, with a fake connector that connects to a local server."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import make_url

from lookalike.adapters.catalog import open_catalog, upgrade
from lookalike.adapters.catalog.cloud_sql import CloudSql
from lookalike.domain.errors import Unavailable
from tests.contracts.databases import temporary_database

INSTANCE = "shop:europe-west1:closet"


class FakeConnector:
    """Fake of Google's connector. It records its options and connections, and connects to `host`."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.created: list[dict[str, Any]] = []
        self.connections: list[dict[str, Any]] = []

    def __call__(self, **options: Any) -> "FakeConnector":
        self.created.append(options)
        return self

    def connect(self, instance: str, driver: str, **options: Any) -> Any:
        self.connections.append({"instance": instance, "driver": driver, **options})
        options.pop("enable_iam_auth", None)
        return pymysql.connect(host=self.host, port=self.port, **options)


def test_catalog_connects_through_one_lazy_connector(tmp_path: Path) -> None:
    with temporary_database("mysql", tmp_path) as url:
        server = make_url(url)
        assert server.host and server.port and server.database
        connector = FakeConnector(server.host, server.port)
        cloud_sql = CloudSql(INSTANCE, "root", "", server.database, connector)
        database_url = f"mysql+pymysql://root:@/{server.database}"
        upgrade(database_url, creator=cloud_sql.connect)
        with closing(open_catalog(database_url, creator=cloud_sql.connect)) as catalog:
            assert connector.created == [{"refresh_strategy": "LAZY"}]
            catalog.ping()
    assert len(connector.created) == 1
    options = connector.connections[-1]
    assert options["instance"] == INSTANCE and options["enable_iam_auth"] is True and "password" not in options


def test_catalog_does_not_connect_before_the_first_call() -> None:
    connector = FakeConnector("127.0.0.1", 1)
    cloud_sql = CloudSql(INSTANCE, "relay", "secret", "closet", connector)
    open_catalog("mysql+pymysql://relay:@/closet", creator=cloud_sql.connect)
    assert connector.created == []
    with pytest.raises(pymysql.err.OperationalError):
        cloud_sql.connect()
    options = connector.connections[0]
    assert options["password"] == "secret" and "enable_iam_auth" not in options


def test_unreachable_instance_is_unavailable() -> None:
    class BrokenConnector(FakeConnector):
        def connect(self, instance: str, driver: str, **options: Any) -> Any:
            raise RuntimeError("no such instance")

    cloud_sql = CloudSql(INSTANCE, "relay", "", "closet", BrokenConnector("", 0))
    with pytest.raises(Unavailable):
        open_catalog("mysql+pymysql://relay:@/closet", creator=cloud_sql.connect).ping()


def test_google_connector_has_the_options_we_pass() -> None:
    import inspect

    from google.cloud.sql.connector import Connector

    assert "refresh_strategy" in inspect.signature(Connector.__init__).parameters

"""The connector's part of a Cloud SQL catalogue, with a connector that leads to the test's own server."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import make_url

from lookalike.adapters.catalog import open_catalog, upgrade
from lookalike.adapters.catalog.cloud_sql import CloudSql
from lookalike.domain.errors import Unavailable
from tests.contracts.databases import fresh_database

INSTANCE = "shop:europe-west1:closet"


class Connector:
    """What Google's connector does, without Google."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port, self.asked = host, port, list[dict[str, Any]]()
        self.made: list[dict[str, Any]] = []

    def __call__(self, **options: Any) -> "Connector":
        self.made.append(options)
        return self

    def connect(self, instance: str, driver: str, **options: Any) -> Any:
        self.asked.append({"instance": instance, "driver": driver, **options})
        options.pop("enable_iam_auth", None)
        return pymysql.connect(host=self.host, port=self.port, **options)


def test_the_catalogue_connects_through_one_lazy_connector(tmp_path: Path) -> None:
    with fresh_database("mysql", tmp_path) as url:
        server = make_url(url)
        assert server.host and server.port and server.database
        connector = Connector(server.host, server.port)
        cloud = CloudSql(INSTANCE, "root", "", server.database, connector)
        address = f"mysql+pymysql://root:@/{server.database}"
        upgrade(address, creator=cloud.connect)
        with closing(open_catalog(address, creator=cloud.connect)) as catalogue:
            assert connector.made == [{"refresh_strategy": "LAZY"}]
            catalogue.ping()
    assert len(connector.made) == 1
    asked = connector.asked[-1]
    assert asked["instance"] == INSTANCE and asked["enable_iam_auth"] is True and "password" not in asked


def test_nothing_is_connected_before_it_is_asked_for() -> None:
    connector = Connector("127.0.0.1", 1)
    cloud = CloudSql(INSTANCE, "relay", "secret", "closet", connector)
    open_catalog("mysql+pymysql://relay:@/closet", creator=cloud.connect)
    assert connector.made == []
    with pytest.raises(pymysql.err.OperationalError):
        cloud.connect()
    assert connector.asked[0]["password"] == "secret" and "enable_iam_auth" not in connector.asked[0]


def test_an_instance_that_cannot_be_reached_is_unavailable() -> None:
    class Broken(Connector):
        def connect(self, instance: str, driver: str, **options: Any) -> Any:
            raise RuntimeError("no such instance")

    cloud = CloudSql(INSTANCE, "relay", "", "closet", Broken("", 0))
    with pytest.raises(Unavailable):
        open_catalog("mysql+pymysql://relay:@/closet", creator=cloud.connect).ping()


def test_googles_connector_takes_what_we_give_it() -> None:
    import inspect

    from google.cloud.sql.connector import Connector as Real

    assert "refresh_strategy" in inspect.signature(Real.__init__).parameters

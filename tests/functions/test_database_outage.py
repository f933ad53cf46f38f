"""Outage of the database: status 503 with `Retry-After` while it lasts, and recovery after it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url

from lookalike.adapters.catalog import upgrade
from lookalike.bootstrap import services
from lookalike.domain.model import User
from lookalike.local.gateway import load_function
from tests.conftest import FUNCTIONS_FOLDER, bearer_header
from tests.contracts.databases import temporary_database
from tests.emulators.proxy import Proxy, proxy
from tests.functions.harness import PHOTO, encode_base64

Post = Callable[..., tuple[int, str | None]]
ENCODED_PHOTO = encode_base64(PHOTO)


@pytest.fixture
def database_proxy(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Proxy between the services and their MariaDB."""
    with temporary_database("mysql", tmp_path) as url:
        server = make_url(url)
        assert server.host and server.port
        upgrade(url)
        with proxy(server.host, server.port) as running_proxy:
            address = server.set(host="127.0.0.1", port=running_proxy.port).render_as_string(False)
            monkeypatch.setenv("DATABASE_URL", address)
            services.cache_clear()
            yield running_proxy
            running_proxy.cut()
            services.cache_clear()


@pytest.fixture
def post(database_proxy: Proxy) -> Post:
    """Return a function that posts as administrator and returns status and `Retry-After`."""
    clients: dict[str, FlaskClient] = {
        name: load_function(name, FUNCTIONS_FOLDER).test_client() for name in ("upload", "relay", "detail")
    }
    admin = bearer_header(services(), User("anna", "", "admin"))

    def post(function: str, path: str, body: dict[str, object]) -> tuple[int, str | None]:
        response = clients[function].post(path, json=body, headers=admin)
        assert response.get_json()["message" if response.status_code >= 400 else "success"]
        return response.status_code, response.headers.get("Retry-After")

    return post


def test_requests_fail_with_503_during_outage_and_recover(database_proxy: Proxy, post: Post) -> None:
    upload = ("upload", "/upload_image", {"image_base64": ENCODED_PHOTO, "image_name": "first"})
    search = ("relay", "/relay_image", {"image_base64": ENCODED_PHOTO, "include": "none"})
    assert post(*upload)[0] == post(*search)[0] == 200
    for _ in range(2):
        database_proxy.cut()
        for _ in range(3):
            status, retry_after = post(*search)
            assert status == 503 and retry_after
        status, retry_after = post(
            "upload", "/upload_image", {"image_base64": ENCODED_PHOTO, "image_name": "meanwhile"}
        )
        assert status == 503 and retry_after
        database_proxy.restore()
        assert 200 in [post(*search)[0] for _ in range(2)]
        assert post(*search)[0] == 200 and post(*upload)[0] == 200
    assert services().catalog.photo("meanwhile") is None
    assert not [entry.path for entry in services().store.list() if entry.path.startswith("meanwhile")]


def test_dead_pooled_connection_is_replaced(database_proxy: Proxy) -> None:
    """The connection pool discards connections that died during the outage."""
    catalog = services().catalog
    catalog.ping()
    database_proxy.cut()
    database_proxy.restore()
    catalog.ping()
    assert catalog.photo("nothing") is None

"""The database away for a while: clear answers meanwhile, and soon well again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url

from lookalike.adapters.catalog import upgrade
from lookalike.bootstrap import services
from lookalike.domain.model import User
from lookalike.local.gateway import load_function
from tests.conftest import FUNCTIONS_FOLDER, bearer_header, jpeg
from tests.contracts.databases import temporary_database
from tests.e2e.server import encode_base64
from tests.emulators.proxy import Proxy, proxy
from tests.sample_photos import sample_photo

PHOTO = encode_base64(jpeg(sample_photo(3)))


@pytest.fixture
def wire(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between the services and their MariaDB."""
    with temporary_database("mysql", tmp_path) as url:
        server = make_url(url)
        assert server.host and server.port
        upgrade(url)
        with proxy(server.host, server.port) as made:
            address = server.set(host="127.0.0.1", port=made.port).render_as_string(False)
            monkeypatch.setenv("DATABASE_URL", address)
            services.cache_clear()
            yield made
            made.cut()
            services.cache_clear()


@pytest.fixture
def ask(wire: Proxy) -> Callable[..., tuple[int, str | None]]:
    clients: dict[str, FlaskClient] = {
        name: load_function(name, FUNCTIONS_FOLDER).test_client() for name in ("upload", "relay", "detail")
    }
    admin = bearer_header(services(), User("anna", "", "admin"))

    def ask(function: str, path: str, body: dict[str, object]) -> tuple[int, str | None]:
        said = clients[function].post(path, json=body, headers=admin)
        assert said.get_json()["message" if said.status_code >= 400 else "success"]
        return said.status_code, said.headers.get("Retry-After")

    return ask


def test_it_tells_and_recovers(wire: Proxy, ask: Callable[..., tuple[int, str | None]]) -> None:
    upload = ("upload", "/upload_image", {"image_base64": PHOTO, "image_name": "first"})
    search = ("relay", "/relay_image", {"image_base64": PHOTO, "include": "none"})
    assert ask(*upload)[0] == ask(*search)[0] == 200
    for _ in range(2):
        wire.cut()
        for _ in range(3):
            status, retry = ask(*search)
            assert status == 503 and retry
        status, retry = ask("upload", "/upload_image", {"image_base64": PHOTO, "image_name": "meanwhile"})
        assert status == 503 and retry
        wire.restore()
        assert 200 in [ask(*search)[0] for _ in range(2)]
        assert ask(*search)[0] == 200 and ask(*upload)[0] == 200
    assert services().catalog.photo("meanwhile") is None
    assert not [one.path for one in services().store.list() if one.path.startswith("meanwhile")]


def test_what_was_being_read_is_read_again(wire: Proxy) -> None:
    """A connection of the pool that died meanwhile costs nobody a request."""
    catalog = services().catalog
    catalog.ping()
    wire.cut()
    wire.restore()
    catalog.ping()
    assert catalog.photo("nothing") is None

"""A server, and the page of a signed-in administrator."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.admin_page import admin_url
from tests.e2e.browser import open_tab
from tests.e2e.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with an empty catalog."""
    running_server = Server(tmp_path_factory.mktemp("admin")).start()
    yield running_server
    assert running_server.stop() == 0


@pytest.fixture
def page(server: Server, chromium: Browser) -> Iterator[Page]:
    """A new tab with the page of a signed-in administrator."""
    with open_tab(chromium, admin_url(server)) as tab:
        yield tab

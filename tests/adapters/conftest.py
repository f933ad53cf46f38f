"""Fixtures of the adapter tests."""

from collections.abc import Iterator

import pytest

from tests.adapters.web_harness import opened_clients
from tests.emulators.web_server import WebServer, web_server


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A web server; at the end, the clients of the test are closed."""
    with web_server() as running:
        yield running
        while opened_clients:
            opened_clients.pop().close()

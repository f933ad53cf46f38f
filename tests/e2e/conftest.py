"""Chromium for the tests in a browser, through Playwright."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from infra.images.chromium import find_chromium, start_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium of the system. Tests that need it are skipped if it is not installed.

    It ends with the module: Playwright runs an event loop in this thread, in which `asyncio.run` would fail.
    """
    try:
        find_chromium()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    with start_chromium() as browser:
        yield browser

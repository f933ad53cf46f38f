"""Chromium for the tests in a browser, through Playwright."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from infra.images.chromium import find_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium of the system. Tests that need it are skipped if it is not installed.

    It ends with the module: Playwright runs an event loop in this thread, in which `asyncio.run` would fail.
    """
    try:
        path = find_chromium()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    # Chromium refuses to start its sandbox as root, for example in a container
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()

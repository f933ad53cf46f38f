"""Headless Chromium of the system, controlled through Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str:
    """Return the path of Chromium or Chrome. Raises `FileNotFoundError` if neither is installed."""
    found = next(filter(None, map(shutil.which, COMMANDS)), None)
    if found is None:
        raise FileNotFoundError("Chromium is not installed. On Debian and Ubuntu: apt-get install chromium")
    return found


@contextmanager
def start_chromium() -> Iterator[Browser]:
    """Start headless Chromium. It ends with the block.

    Playwright runs an event loop in this thread until then, in which `asyncio.run` fails.
    """
    # Chromium refuses to start its sandbox as root, for example in a container
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    # a camera with a test picture; pages need permission for it as for a real one
    options.append("--use-fake-device-for-media-stream")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=options)
        yield browser
        browser.close()


def open_page(browser: Browser, url: str, width: int, height: int, **options: Any) -> Page:
    """Load a page in a new tab of this size, in CSS pixels, without animations and without a session.

    `options` are those of Playwright's `new_page`, such as `color_scheme`.
    """
    viewport: Any = {"width": width, "height": height}
    page = browser.new_page(viewport=viewport, reduced_motion="reduce", locale="en-US", **options)
    page.goto(url)
    return page

"""The map of a catalog report in headless Chromium: hover, zoom and move, on wide and narrow windows."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from infra.images.chromium import open_page
from lookalike.batch.report_page import write_report
from tests.e2e.browser import drag_mouse
from tests.usecases.test_catalog_report import ReportHarness


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a report of twenty garments, one of which has no picture."""
    harness = ReportHarness()
    harness.add_cluster(10, "top")
    hats = harness.add_cluster(10, "hat")
    for segment in harness.catalog.segments(hats[:1]).values():
        harness.store.delete(segment.thumbnail or "")
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, harness.report(), harness.store, harness.catalog, datetime.now(UTC))
    return path.as_uri()


@contextmanager
def open_report(browser: Browser, address: str, width: int) -> Iterator[Page]:
    page = open_page(browser, address, width, 900)
    page.wait_for_function("() => document.readyState === 'complete' && document.getElementById('map').width > 300")
    page.locator("#map").evaluate("map => map.scrollIntoView()")
    yield page
    page.close()


def note(page: Page) -> str:
    return str(page.evaluate("document.getElementById('map-note').textContent"))


def map_box(page: Page) -> dict[str, float]:
    box: dict[str, float] = page.evaluate(
        "(({left, top, width, height}) => ({left, top, width, height}))"
        "(document.getElementById('map').getBoundingClientRect())"
    )
    return box


def point_of(page: Page, number: int) -> tuple[float, float]:
    """Return the place of a garment in the window before any zoom."""
    box = map_box(page)
    x, y = page.evaluate(f"[MAP_DATA.x[{number}], MAP_DATA.y[{number}]]")
    side = min(box["width"], box["height"]) * 0.9
    return box["left"] + box["width"] / 2 + (x - 0.5) * side, box["top"] + box["height"] / 2 + (y - 0.5) * side


def pixels(page: Page) -> str:
    return str(page.evaluate("document.getElementById('map').toDataURL()"))


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_and_shows_the_garment_under_the_pointer(chromium: Browser, address: str, width: int) -> None:
    with open_report(chromium, address, width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for number in (0, 12):
            page.mouse.move(*point_of(page, number))
            assert "photo-" in note(page)
        page.mouse.move(map_box(page)["left"] + 2, map_box(page)["top"] + 2)
        assert note(page).startswith("Drag to move")


def test_wheel_keeps_the_garment_under_the_pointer(chromium: Browser, address: str) -> None:
    with open_report(chromium, address, 1280) as page:
        x, y = point_of(page, 0)
        page.mouse.move(x, y)
        before, name = pixels(page), note(page)
        page.mouse.wheel(0, -400)
        page.wait_for_function("before => document.getElementById('map').toDataURL() !== before", arg=before)
        page.mouse.move(x + 1, y)
        assert note(page) == name


def test_drag_moves_the_map_and_keys_move_it_back(chromium: Browser, address: str) -> None:
    with open_report(chromium, address, 1280) as page:
        box = map_box(page)
        left, top = box["left"] + 5, box["top"] + 5
        before = pixels(page)
        drag_mouse(page, (left, top), (left + 40, top))
        assert pixels(page) != before
        page.locator("#map").focus()
        page.keyboard.press("ArrowRight")
        assert pixels(page) == before
        page.locator("#zoom-in").click()
        assert pixels(page) != before

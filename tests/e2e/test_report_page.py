"""The map of a catalog report in headless Chromium: hover, zoom and move, on wide and narrow windows."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.images.chromium import Page, find_chromium, start_chromium
from lookalike.batch.report_page import write_report
from tests.usecases.test_catalog_report import ReportHarness

try:
    find_chromium()
except FileNotFoundError as missing:
    pytest.skip(str(missing), allow_module_level=True)


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with start_chromium() as tab:
        yield tab


def open_report(page: Page, address: str, width: int) -> None:
    page.open(address, width, 900)
    page.wait_for("document.readyState === 'complete' && document.getElementById('map').width > 300")
    page.evaluate("document.getElementById('map').scrollIntoView()")


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


def mouse(page: Page, kind: str, x: float, y: float, **fields: Any) -> None:
    page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **fields)


def pixels(page: Page) -> str:
    return str(page.evaluate("document.getElementById('map').toDataURL()"))


@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_and_shows_the_garment_under_the_pointer(browser: Page, address: str, width: int) -> None:
    open_report(browser, address, width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    for number in (0, 12):
        mouse(browser, "mouseMoved", *point_of(browser, number))
        assert "photo-" in note(browser)
    mouse(browser, "mouseMoved", map_box(browser)["left"] + 2, map_box(browser)["top"] + 2)
    assert note(browser).startswith("Drag to move")


def test_wheel_keeps_the_garment_under_the_pointer(browser: Page, address: str) -> None:
    open_report(browser, address, 1280)
    x, y = point_of(browser, 0)
    mouse(browser, "mouseMoved", x, y)
    before, name = pixels(browser), note(browser)
    mouse(browser, "mouseWheel", x, y, deltaX=0, deltaY=-400)
    browser.wait_for("true")
    assert pixels(browser) != before
    mouse(browser, "mouseMoved", x + 1, y)
    assert note(browser) == name


def test_drag_moves_the_map_and_keys_move_it_back(browser: Page, address: str) -> None:
    open_report(browser, address, 1280)
    box = map_box(browser)
    left, top = box["left"] + 5, box["top"] + 5
    before = pixels(browser)
    mouse(browser, "mousePressed", left, top, button="left", clickCount=1, buttons=1)
    mouse(browser, "mouseMoved", left + 40, top, button="left", buttons=1)
    mouse(browser, "mouseReleased", left + 40, top, button="left", clickCount=1)
    moved = pixels(browser)
    assert moved != before
    browser.evaluate("document.getElementById('map').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", code="ArrowRight")
    assert pixels(browser) == before
    browser.evaluate("document.getElementById('zoom-in').click()")
    assert pixels(browser) != before

"""The images of the documentation: `make screenshots` runs this with `--screenshots docs/images`.

Each test takes a screenshot of what it has checked: the sample closet is in the catalog, and its sample photo is searched.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.docs.markdown import ROOT
from tests.e2e.admin_page import admin_url, open_section
from tests.e2e.browser import PHONE, open_tab, page_url
from tests.e2e.server import Server
from tests.e2e.shop import serve_folder, write_shop

pytestmark = pytest.mark.slow
QUERY = ROOT / "shared" / "lookalike" / "sample_closet" / "queries" / "outfit.jpg"
GARMENT = 1
"""Which garment of the photo is selected, from 0."""
MAX_BYTES = 300_000
ARE_LOADED = "() => [...document.images].every((image) => image.hidden || !image.src || image.complete)"
Take = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the sample closet."""
    running = Server(tmp_path_factory.mktemp("closet"))
    commands = (
        ["closet", "closet"],
        ["ingest", "closet"],
        ["details", "import", "closet/details.csv"],
        ["index", "build"],
    )
    for command in commands:
        assert running.run(*command).returncode == 0, running.log(command[0])
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the made-up shop."""
    folder = tmp_path_factory.mktemp("shop")
    write_shop(server, folder)
    with serve_folder(
        folder, f"default-src 'self' 'unsafe-inline' {page_url(server)}; img-src * blob: data:"
    ) as address:
        yield address


@pytest.fixture
def take(pytestconfig: pytest.Config, tmp_path: Path) -> Take:
    """Write a screenshot of a page under a name, as soon as its images are loaded."""
    folder: Path = pytestconfig.getoption("screenshots") or tmp_path

    def write(page: Page, name: str) -> None:
        page.wait_for_function(ARE_LOADED)
        folder.mkdir(parents=True, exist_ok=True)
        image = page.screenshot(path=folder / f"{name}.jpg", type="jpeg", quality=85)
        assert 10_000 < len(image) < MAX_BYTES

    return write


def search_sample(page: Page) -> None:
    """Search with the sample photo, and show the matches of one of its garments."""
    # The first search also loads the index. Its duration is not typical.
    for _ in range(2):
        page.locator("#search #file").set_input_files(QUERY)
        page.locator("#search #widget:not(.is-busy) .match .card").first.wait_for()
    page.locator("#search .garment").nth(GARMENT).click()
    expect(page.locator("#search .garment").nth(GARMENT)).to_have_attribute("aria-pressed", "true")
    assert page.locator("#search .match .card").count() >= 3


def scroll_to(page: Page, selector: str) -> None:
    """Show an element at the top of the window."""
    page.locator(selector).evaluate("element => element.scrollIntoView()")


def test_page_after_a_search(server: Server, chromium: Browser, take: Take) -> None:
    with open_tab(chromium, page_url(server)) as page:
        search_sample(page)
        take(page, "page")


def test_shop_after_a_search(shop: str, chromium: Browser, take: Take) -> None:
    with open_tab(chromium, shop) as page:
        page.locator("#search #words").wait_for()
        search_sample(page)
        scroll_to(page, "#find")
        take(page, "shop")


def test_shop_on_a_phone(shop: str, chromium: Browser, take: Take) -> None:
    options = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    with open_tab(chromium, shop, viewport=PHONE, **options) as page:
        page.locator("#search #words").wait_for()
        search_sample(page)
        scroll_to(page, "#search #garment-buttons")
        take(page, "shop-phone")


@pytest.mark.parametrize(
    ("name", "section", "path", "height"),
    [("garment", "garments", ("garment", "outfit-001_segment_0"), 810), ("garments", "garments", (), 640)],
)
def test_page_for_administrators(
    server: Server, chromium: Browser, take: Take, name: str, section: str, path: tuple[str, ...], height: int
) -> None:
    with open_tab(chromium, admin_url(server), viewport={"width": 1180, "height": height}) as page:
        open_section(page, section, *path)
        page.locator(".editor img, .cards .frame > *").first.wait_for()
        frames = "() => [...document.querySelectorAll('.frame')].slice(0, 6).every((one) => one.firstElementChild)"
        page.wait_for_function(frames)
        take(page, f"admin-{name}")

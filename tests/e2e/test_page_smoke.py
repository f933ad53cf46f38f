"""The page in headless Chromium: one search with a photo. The other tests of the page are slow."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.conftest import jpeg
from tests.e2e.browser import open_tab, page_url, search, text, texts
from tests.e2e.server import Server
from tests.sample_photos import sample_photo


def test_search_shows_garments_and_matches_without_layout_shift(chromium: Browser, tmp_path: Path) -> None:
    photo = jpeg(sample_photo(3))
    server = Server(tmp_path / "smoke").start()
    try:
        server.upload(photo, "stored")
        with open_tab(chromium, page_url(server)) as page:
            page.locator(".sample img").first.wait_for()
            assert page.evaluate("window.shift") == 0
            search(page, photo)
            expect(page.locator("#widget #status")).to_contain_text("Found ")
            assert page.locator(".bounding-box").count() > 0
            assert texts(page, ".match .similarity")[0] == "Similarity 1.00"
            assert page.locator(".match img").first.evaluate("image => image.naturalWidth") > 0
            assert "1 garment in the catalog" in text(page, "index-summary")
    finally:
        assert server.stop() == 0

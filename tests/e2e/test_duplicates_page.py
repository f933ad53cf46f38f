"""The pages of `lookalike duplicates --out` in Chromium: pictures side by side, on wide and narrow windows."""

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from lookalike.batch import duplicates_page
from lookalike.batch.duplicates_page import write_duplicates_pages
from lookalike.domain.duplicates import DuplicateGroup, DuplicatePair, group_pairs
from tests.contracts.rows import add_photo
from tests.fakes.catalog import FakeCatalog
from tests.fakes.store import FakeStore

pytestmark = pytest.mark.slow
GROUPS = 5


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Pages of two groups each. The last group has three garments; the others have two."""
    monkeypatch.setattr(duplicates_page, "GROUPS_PER_PAGE", 2)
    catalog, store = FakeCatalog(), FakeStore()
    rows = [row for number in range(GROUPS) for row in add_photo(catalog, f"look{number}", 2 + (number == GROUPS - 1))]
    for segment in catalog.segments(rows).values():
        file = io.BytesIO()
        Image.new("RGB", (30, 40), "red").save(file, "JPEG")
        store.put(str(segment.thumbnail), file.getvalue(), "image/jpeg")
    pairs = [DuplicatePair(rows[number], rows[number + 1], 0.99) for number in range(0, 2 * GROUPS, 2)]
    groups: list[DuplicateGroup] = group_pairs([*pairs, DuplicatePair(rows[-2], rows[-1], 0.985)])
    return write_duplicates_pages(tmp_path / "copies.html", groups, store, catalog, 0.98)


@pytest.mark.parametrize("width", [1280, 390])
def test_pictures_of_a_group_are_side_by_side(chromium: Browser, pages: list[Path], width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 900})
    page.goto(pages[0].as_uri())
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth === 30)")
    for group in page.locator("section.group").all():
        boxes = [picture.bounding_box() for picture in group.locator("figure").all()]
        assert len(boxes) == 2 and all(boxes)
        first, second = boxes
        assert first and second and first["y"] == second["y"] and first["x"] + first["width"] <= second["x"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_links_lead_through_all_pages(chromium: Browser, pages: list[Path]) -> None:
    page = chromium.new_page()
    page.goto(pages[0].as_uri())
    seen = names(page)
    for number in (2, 3):
        page.get_by_role("link", name="Next").first.click()
        page.wait_for_url(f"**/copies-{number}.html")
        seen += names(page)
    assert len(seen) == len(set(seen)) == 2 * GROUPS + 1
    page.get_by_text("2 pairs").click()
    assert page.locator("details li").all_inner_texts() == [
        "0.9900 look4_segment_0 look4_segment_1",
        "0.9850 look4_segment_1 look4_segment_2",
    ]
    page.close()


def names(page: Page) -> list[str]:
    return page.locator("figcaption code").all_inner_texts()

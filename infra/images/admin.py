"""Make docs/images/admin-*.jpg: sections of the page for administrators, with the sample closet in the catalog."""

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from infra.images.chromium import open_page, start_chromium
from infra.images.page import JPEG_QUALITY, fill_catalog, lookalike, serve

FOLDER = Path("docs/images")
WIDTH = 1180
SECTIONS = {
    "garment": ("#garments/garment/outfit-001_segment_0", 810),
    "garments": ("#garments", 640),
}
"""By the end of the file's name: the fragment of the address, and the height of the image in CSS pixels."""
IS_LOADED = (
    "document.querySelector('.section h2') !== null && document.querySelector('[aria-busy]') === null && "
    "Array.from(document.images).every((image) => image.complete)"
)


def take_screenshot(page: Page, address: str, fragment: str, height: int) -> bytes:
    """Return a JPEG of a section. The page must have the token already."""
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.goto(address)
    page.wait_for_function(f"() => {IS_LOADED}")
    page.evaluate(f"location.hash = '{fragment}'")
    page.wait_for_function(f"() => location.hash === '{fragment}' && {IS_LOADED}")
    # a list loads its pictures when they come into view
    page.wait_for_function(f"() => document.querySelector('.cards, .editor') !== null && {IS_LOADED}")
    frames = "Array.from(document.querySelectorAll('.frame')).slice(0, 6)"
    page.wait_for_function(f"() => {frames}.every((one) => one.firstElementChild)")
    return page.screenshot(type="jpeg", quality=JPEG_QUALITY)


def main() -> None:
    """Write the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--color-scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"folder to write to (default: {FOLDER})")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill_catalog(home)
        with serve(home) as address, start_chromium() as browser:
            url = f"{address}admin#token={lookalike(home, 'token').strip()}"
            page = open_page(browser, url, WIDTH, 800, color_scheme=arguments.color_scheme)
            page.locator(".section h2").first.wait_for()
            for name, (fragment, height) in SECTIONS.items():
                image = take_screenshot(page, f"{address}admin", fragment, height)
                file = arguments.folder / f"admin-{name}.jpg"
                file.write_bytes(image)
                print(f"{file}: {len(image) / 1000:.0f} kB")


if __name__ == "__main__":
    main()

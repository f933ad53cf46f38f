"""Make docs/images/admin-*.jpg: sections of the page for administrators, with the sample closet in the catalog."""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from infra.images.chromium import Page, start_chromium
from infra.images.page import JPEG_QUALITY, LOOKALIKE, fill_catalog, serve

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


def create_token(home: Path) -> str:
    """Return the access token of an administrator of this home."""
    environment = os.environ | {"LOOKALIKE_HOME": str(home)}
    created = subprocess.run([LOOKALIKE, "token"], check=True, env=environment, capture_output=True, text=True)
    return created.stdout.strip()


def take_screenshot(page: Page, address: str, fragment: str, height: int, color_scheme: str) -> bytes:
    """Return a JPEG of a section. The page must have the token already."""
    page.open(address, WIDTH, height, color_scheme)
    page.wait_for(IS_LOADED)
    page.evaluate(f"location.hash = '{fragment}'")
    page.wait_for(f"location.hash === '{fragment}' && {IS_LOADED}")
    # a list loads its pictures when they come into view
    page.wait_for(f"document.querySelector('.cards, .editor') !== null && {IS_LOADED}")
    page.wait_for("Array.from(document.querySelectorAll('.frame')).slice(0, 6).every((one) => one.firstElementChild)")
    return page.screenshot(JPEG_QUALITY)


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
        with serve(home) as address, start_chromium() as page:
            page.open(f"{address}admin#token={create_token(home)}", WIDTH, 800, arguments.color_scheme)
            page.wait_for("document.querySelector('.section h2') !== null")
            for name, (fragment, height) in SECTIONS.items():
                image = take_screenshot(page, f"{address}admin", fragment, height, arguments.color_scheme)
                file = arguments.folder / f"admin-{name}.jpg"
                file.write_bytes(image)
                print(f"{file}: {len(image) / 1000:.0f} kB")


if __name__ == "__main__":
    main()

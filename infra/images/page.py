"""Make docs/images/page.jpg, shop.jpg and shop-phone.jpg: the web page, and the widget in the example shop.

Ingests the sample closet into a temporary home, serves it and the shop, and searches in headless Chromium.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page

from infra.images.chromium import open_page, start_chromium

FOLDER = Path("docs/images")
SHOP = Path("examples/shop")
QUERY = Path("shared/lookalike/sample_closet/queries/outfit.jpg")
WIDTH, HEIGHT = 1280, 860
"""Size of the window in CSS pixels."""
PHONE_WIDTH, PHONE_HEIGHT = 390, 844
JPEG_QUALITY = 85
START_TIMEOUT = 60
"""Seconds until the server must answer."""
LOOKALIKE = Path(sys.executable).with_name("lookalike")
Scheme = Literal["light", "dark"]


def lookalike(home: Path, *arguments: str) -> str:
    """Run the command line tool with this home, and return its output. Raises `CalledProcessError` if it fails."""
    environment = os.environ | {"LOOKALIKE_HOME": str(home)}
    done = subprocess.run([LOOKALIKE, *arguments], check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return done.stdout


def fill_catalog(home: Path) -> None:
    """Ingest the sample closet and build an index."""
    closet = home / "closet"
    lookalike(home, "closet", str(closet))
    lookalike(home, "ingest", str(closet))
    lookalike(home, "details", "import", str(closet / "details.csv"))
    lookalike(home, "index", "build")


@contextmanager
def serve(home: Path) -> Iterator[str]:
    """Run `lookalike serve` on a free port and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"LOOKALIKE_HOME": str(home), "PORT": str(port)}
    # The output holds an administrator's token, so it is not shown.
    server = subprocess.Popen(
        [LOOKALIKE, "serve"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        address = f"http://localhost:{port}/"
        wait_for_server(f"{address}healthz")
        yield address
    finally:
        server.terminate()
        server.wait()


def wait_for_server(url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            urlopen(url, timeout=5).close()
            return
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def serve_shop(home: Path, api: str) -> Iterator[str]:
    """Serve the example shop with a key, on another origin than the API, and yield its address."""
    key = next(line for line in lookalike(home, "keys", "create").splitlines() if line.startswith("lk_"))
    folder = home / "shop"
    folder.mkdir()
    for file in SHOP.iterdir():
        text = file.read_text().replace("http://localhost:5001/", api).replace("YOUR-KEY", key)
        (folder / file.name).write_text(text)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def search(page: Page, garment: int) -> None:
    """Search with the sample photo, and show the matches of one of its garments."""
    widget = page.locator("#search")
    # The first search also loads the index. Its duration is not typical.
    for _ in range(2):
        widget.locator("#file").set_input_files(QUERY)
        widget.locator("#widget:not(.is-busy) .match .card").first.wait_for()
    widget.locator(".garment").nth(garment - 1).click()
    page.wait_for_function(
        "() => Array.from(document.images).every((image) => image.hidden || !image.src || image.complete)"
    )


def take_page(browser: Browser, address: str, garment: int, scheme: Scheme) -> bytes:
    """Return a JPEG of the page after a search."""
    page = open_page(browser, address, WIDTH, HEIGHT, color_scheme=scheme)
    search(page, garment)
    return page.screenshot(type="jpeg", quality=JPEG_QUALITY)


def take_shop(browser: Browser, address: str, garment: int, scheme: Scheme) -> bytes:
    """Return a JPEG of the shop with the search for a photo that is part of its page."""
    page = open_page(browser, address, WIDTH, HEIGHT, color_scheme=scheme)
    search(page, garment)
    page.locator("#find").evaluate("element => element.scrollIntoView()")
    return page.screenshot(type="jpeg", quality=JPEG_QUALITY)


def take_phone(browser: Browser, address: str, garment: int, scheme: Scheme) -> bytes:
    """Return a JPEG of the shop on a phone, with the matches in view."""
    options = {"has_touch": True, "is_mobile": True, "color_scheme": scheme, "device_scale_factor": 2}
    page = open_page(browser, address, PHONE_WIDTH, PHONE_HEIGHT, **options)
    search(page, garment)
    page.locator("#search #garment-buttons").evaluate("element => element.scrollIntoView()")
    return page.screenshot(type="jpeg", quality=JPEG_QUALITY)


def main() -> None:
    """Write the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--garment", type=int, default=2, help="number of the selected garment (default: 2)")
    parser.add_argument("--color-scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"folder to write to (default: {FOLDER})")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill_catalog(home)
        with serve(home) as api, serve_shop(home, api) as shop, start_chromium() as browser:
            images = {
                "page": take_page(browser, api, arguments.garment, arguments.color_scheme),
                "shop": take_shop(browser, shop, arguments.garment, arguments.color_scheme),
                "shop-phone": take_phone(browser, shop, arguments.garment, arguments.color_scheme),
            }
    for name, image in images.items():
        file = arguments.folder / f"{name}.jpg"
        file.write_bytes(image)
        print(f"{file}: {len(image) / 1000:.0f} kB")


if __name__ == "__main__":
    main()

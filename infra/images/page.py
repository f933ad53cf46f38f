"""Make docs/images/page.jpg: the web page with a search for one of the sample photos.

Ingests the sample closet into a temporary home, serves it, and searches in headless Chromium.
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
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from infra.images.chromium import start_chromium

OUTPUT = Path("docs/images/page.jpg")
WIDTH, HEIGHT = 1280, 860
"""Size of the window in CSS pixels."""
JPEG_QUALITY = 85
START_TIMEOUT = 60
"""Seconds until the server must answer."""
SEARCH_IS_DONE = "/^Found/.test(document.getElementById('status').textContent)"
LOOKALIKE = Path(sys.executable).with_name("lookalike")


def lookalike(home: Path, *arguments: str) -> None:
    """Run the command line tool with this home. Raises `CalledProcessError` if it fails."""
    subprocess.run([LOOKALIKE, *arguments], check=True, env=os.environ | {"LOOKALIKE_HOME": str(home)})


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


def take_screenshot(address: str, sample: int, garment: int, color_scheme: str) -> bytes:
    """Return a JPEG of the page after a search for a sample photo, with the matches of one of its garments."""
    with start_chromium() as page:
        page.open(address, WIDTH, HEIGHT, color_scheme)
        page.wait_for(f"document.querySelectorAll('.sample').length >= {sample}")
        # The first search also loads the index. Its duration is not typical.
        for _ in range(2):
            page.evaluate("document.getElementById('status').textContent = ''")
            page.evaluate(f"document.querySelectorAll('.sample')[{sample - 1}].click()")
            page.wait_for(SEARCH_IS_DONE)
        page.evaluate(f"document.querySelectorAll('.garment')[{garment - 1}].click()")
        page.wait_for("Array.from(document.images).every((image) => image.hidden || !image.src || image.complete)")
        return page.screenshot(JPEG_QUALITY)


def main() -> None:
    """Write the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=2, help="number of the sample photo (default: 2, an outfit)")
    parser.add_argument("--garment", type=int, default=2, help="number of the selected garment (default: 2)")
    parser.add_argument("--color-scheme", choices=["light", "dark"], default="light")
    parser.add_argument("--output", type=Path, default=OUTPUT, help=f"JPEG file to write (default: {OUTPUT})")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill_catalog(home)
        with serve(home) as address:
            image = take_screenshot(address, arguments.sample, arguments.garment, arguments.color_scheme)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(image)
    print(f"{arguments.output}: {len(image) / 1000:.0f} kB")


if __name__ == "__main__":
    main()

"""The made-up shop of `examples/shop`, served as another origin than the API."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.docs.markdown import ROOT
from tests.e2e.browser import page_url
from tests.e2e.server import Server

SHOP = ROOT / "examples" / "shop"


def write_shop(server: Server, folder: Path) -> str:
    """Write the files of the shop with the address of the server and a new key, and return the key."""
    assert server.run("keys", "create", "--name", "shop").returncode == 0
    key = next(line for line in server.log("keys").splitlines() if line.startswith("lk_"))
    for file in SHOP.iterdir():
        text = file.read_text().replace("http://localhost:5001/", page_url(server)).replace("YOUR-KEY", key)
        (folder / file.name).write_text(text)
    return key


class ShopHandler(SimpleHTTPRequestHandler):
    """Serves the shop with a strict content security policy."""

    policy = ""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serve_folder(folder: Path, policy: str) -> Iterator[str]:
    """Serve a folder on a port of its own, which makes it another origin."""
    handler = type("Handler", (ShopHandler,), {"policy": policy})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()

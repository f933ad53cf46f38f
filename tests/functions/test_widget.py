"""The function `relay` serves the web widget to pages of any origin."""

import base64
import gzip
import hashlib

from lookalike.http.widget import WIDGET_PATH, load_widget
from tests.functions.harness import Client

FOREIGN_PAGE = {"Origin": "https://shop.example"}


def test_widget_is_served_to_any_origin_and_kept_by_browsers(client: Client) -> None:
    response = client("relay").get(WIDGET_PATH, headers=FOREIGN_PAGE)
    assert response.status_code == 200 and response.data == load_widget().script
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    known = {**FOREIGN_PAGE, "If-None-Match": response.headers["ETag"]}
    unchanged = client("relay").get(WIDGET_PATH, headers=known)
    assert unchanged.status_code == 304 and unchanged.data == b""
    assert unchanged.headers["Access-Control-Allow-Origin"] == "*"


def test_widget_is_compressed_for_browsers_that_accept_it(client: Client) -> None:
    response = client("relay").get(WIDGET_PATH, headers={"Accept-Encoding": "br, gzip"})
    assert response.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in response.headers["Vary"]
    assert gzip.decompress(response.data) == load_widget().script
    assert response.headers["ETag"] != client("relay").get(WIDGET_PATH).headers["ETag"]


def test_other_functions_and_methods_have_no_widget(client: Client) -> None:
    assert client("detail").get(WIDGET_PATH).status_code == 404
    assert client("relay").post(WIDGET_PATH).status_code == 404


def test_integrity_is_that_of_the_script() -> None:
    digest = base64.b64encode(hashlib.sha384(load_widget().script).digest()).decode()
    assert load_widget().integrity == f"sha384-{digest}"

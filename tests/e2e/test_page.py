"""The web page in headless Chromium, against a real server. Skipped if Chromium is not installed."""

from collections.abc import Iterator

import pytest

from infra.images.chromium import Page, find_chromium, start_chromium
from tests.conftest import jpeg
from tests.contracts.databases import execute
from tests.e2e.browser import IS_IDLE, click, drop_file, fill, open_page, search, text
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

try:
    find_chromium()
except FileNotFoundError as missing:
    pytest.skip(str(missing), allow_module_level=True)

PHOTO = jpeg(sample_photo(3))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running_server = Server(tmp_path_factory.mktemp("page")).start()
    yield running_server
    assert running_server.stop() == 0


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    """A new tab with the page, and no session."""
    with start_chromium() as tab:
        open_page(tab, server)
        yield tab


def test_search_shows_garments_and_matches(server: Server, page: Page) -> None:
    server.upload(PHOTO, "stored")
    search(page, PHOTO)
    assert text(page, "status").startswith("Found ")
    assert page.evaluate("document.querySelectorAll('.bounding-box').length") > 0
    assert page.evaluate("document.querySelector('.card .similarity').textContent") == "1.00"
    assert page.evaluate("document.querySelector('.card img').naturalWidth") > 0


def test_garments_of_another_model_are_announced_with_the_command(server: Server, page: Page) -> None:
    server.upload(PHOTO, "converted")
    database = f"sqlite:///{server.folder / '.lookalike' / 'lookalike.db'}"
    execute(database, "UPDATE splitted_images SET embedder = 'old-1'")
    server.stop()
    server.start()
    assert "vectors of another model only" in server.log()
    open_page(page, server)
    search(page, PHOTO)
    assert "lookalike reembed" in text(page, "notice") and not page.evaluate("document.getElementById('notice').hidden")
    server.run("reembed")
    page.wait_for(IS_IDLE)
    click(page, "#search-again")
    page.wait_for("document.querySelectorAll('.card').length > 0")


def test_sample_photo_is_searched_on_click(page: Page) -> None:
    page.wait_for("document.querySelectorAll('.sample img[alt]').length === 3")
    click(page, ".sample")
    page.wait_for("document.getElementById('status').textContent.startsWith('Found ')")
    assert page.evaluate("document.querySelectorAll('.bounding-box').length") > 0


def test_match_opens_product_details(server: Server, page: Page) -> None:
    server.upload(PHOTO, "stored")
    server.request("PUT", "/image_detail/stored", {"product_name": "<b>Blue dress</b>"}, server.admin_headers)
    search(page, PHOTO)
    click(page, ".card")
    page.wait_for("document.getElementById('product-title').textContent === '<b>Blue dress</b>'")
    click(page, "#product-close")
    assert page.evaluate("document.getElementById('product-dialog').open") is False


def test_upload_without_session_asks_to_sign_in(page: Page) -> None:
    search(page, PHOTO)
    click(page, "#upload-button")
    page.wait_for("!document.getElementById('error').hidden")
    click(page, "#error-sign-in")
    assert page.evaluate("document.getElementById('account').open") is True
    assert page.evaluate("document.activeElement.id") == "email"


def test_token_in_address_signs_in_and_allows_upload(server: Server, page: Page) -> None:
    token = server.token
    open_page(page, server, f"#token={token}")
    page.wait_for("document.body.classList.contains('is-signed-in')")
    assert token not in page.evaluate("location.href")
    search(page, PHOTO)
    fill(page, "image-name", "from-page")
    click(page, "#upload-button")
    page.wait_for("document.getElementById('status').textContent.endsWith(' as from-page.')")
    click(page, "#search-again")
    page.wait_for("document.getElementById('status').textContent.startsWith('Found ')")


def test_register_sign_in_and_sign_out(page: Page) -> None:
    fill(page, "email", "reader@example.org")
    fill(page, "password", "a long password of the reader")
    click(page, "#register")
    page.wait_for("document.getElementById('sign-in-message').textContent !== ''")
    click(page, "#sign-in")
    page.wait_for("document.body.classList.contains('is-signed-in')")
    assert text(page, "sign-in-message") == "Signed in as a user."
    click(page, "#sign-out")
    assert page.evaluate("document.body.classList.contains('is-signed-in')") is False
    assert page.evaluate("sessionStorage.getItem('lookalike-token')") == ""


def test_file_that_is_no_image_is_rejected(page: Page) -> None:
    drop_file(page, b"text", "text/plain")
    assert "not an image" in text(page, "error-text")


def test_screenshot_is_jpeg(page: Page) -> None:
    assert page.screenshot(80).startswith(b"\xff\xd8")

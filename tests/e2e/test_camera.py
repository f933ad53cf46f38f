"""The camera of a computer in the widget. Chromium has a fake one, which shows a test picture."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browser import events, finish_search, focused, open_tab, page_url, violations
from tests.e2e.server import Server

pytestmark = pytest.mark.slow
NO_CAMERA = """() => {
  navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("none", "NotFoundError"); };
}"""
SLOW_CAMERA = """() => {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.streams = [];
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    window.streams.push(stream);
    await new Promise((resolve) => setTimeout(resolve, 500));
    return stream;
  };
}"""
HAS_STREAM = '() => document.getElementById("search").shadowRoot.getElementById("camera-video").srcObject?.active'
HAS_NO_STREAM = HAS_STREAM.replace("() => ", "() => !")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("camera")).start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def page(server: Server, chromium: Browser) -> Iterator[Page]:
    """A new tab with the page, which has no permission to use the camera."""
    with open_tab(chromium, page_url(server)) as tab:
        yield tab


def test_photo_is_taken_with_the_camera_by_keyboard(page: Page) -> None:
    page.context.grant_permissions(["camera"])
    page.locator("#take-photo").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#shutter")).to_be_enabled()
    assert focused(page) == "shutter"
    assert page.evaluate(HAS_STREAM)
    assert violations(page) == []
    finish_search(page, lambda: page.keyboard.press("Enter"))
    expect(page.locator("#camera")).to_be_hidden()
    page.wait_for_function(HAS_NO_STREAM)
    kind, width = page.evaluate(
        "async () => { const { photo } = document.getElementById('search');"
        " return [photo.type, (await createImageBitmap(photo)).width]; }"
    )
    assert kind == "image/jpeg" and width >= 640
    assert events(page, "search")[0]["request"]["segment"] is True


def test_camera_is_released_when_the_dialog_is_closed(page: Page) -> None:
    page.context.grant_permissions(["camera"])
    ways: list[Callable[[], None]] = [lambda: page.keyboard.press("Escape"), page.locator("#camera-cancel").click]
    for close in ways:
        page.locator("#take-photo").click()
        expect(page.locator("#shutter")).to_be_enabled()
        close()
        expect(page.locator("#camera")).to_be_hidden()
        page.wait_for_function(HAS_NO_STREAM)
        assert focused(page) == "take-photo"
    assert events(page, "search") == []


def test_camera_that_is_opened_twice_is_released_once_more(page: Page) -> None:
    """The dialog is canceled while the browser asks for permission, and opened again."""
    page.context.grant_permissions(["camera"])
    page.evaluate(SLOW_CAMERA)
    page.locator("#take-photo").click()
    page.locator("#camera-cancel").click()
    page.locator("#take-photo").click()
    page.wait_for_function("() => window.streams.filter(({ active }) => !active).length === 1")
    page.locator("#camera-cancel").click()
    page.wait_for_function("() => window.streams.every(({ active }) => !active)")
    assert page.evaluate("() => window.streams.length") == 2


def test_missing_permission_and_missing_camera_are_explained(page: Page) -> None:
    page.locator("#take-photo").click()
    expect(page.locator("#widget #error-text")).to_contain_text("does not let this page use the camera")
    expect(page.locator("#error-retry")).to_be_hidden()
    page.evaluate(NO_CAMERA)
    page.locator("#take-photo").click()
    expect(page.locator("#widget #error-text")).to_contain_text("No camera was found")
    assert [one["code"] for one in events(page, "error")] == ["camera_denied", "no_camera"]
    expect(page.locator("#camera")).to_be_hidden()


def test_page_without_access_to_cameras_has_no_button(server: Server, chromium: Browser) -> None:
    """Browsers offer cameras to secure pages only: https, or the same machine."""
    with open_tab(chromium, "about:blank") as tab:
        tab.add_init_script("Object.defineProperty(Navigator.prototype, 'mediaDevices', { value: undefined });")
        tab.goto(page_url(server))
        expect(tab.locator("#start-title")).to_be_visible()
        expect(tab.locator("#take-photo")).to_be_hidden()

"""What tests do with the page and the widget in the browser. Selectors reach into the shadow root of the widget."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page

from tests.e2e.server import Server

RECORD_EVENTS = """
window.events = [];
for (const name of ["search", "results", "select", "error", "cancel"]) {
  addEventListener(`lookalike-${name}`, (event) => window.events.push({ name, detail: structuredClone(event.detail) }));
}
window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => (window.shift += entry.value))).observe({
  type: "layout-shift",
  buffered: true,
});
"""
"""Keeps the events of the widget, and the sum of all layout shifts."""
COUNT_FINISHED = "window.events.filter(({ name }) => ['results', 'error', 'cancel'].includes(name)).length"
FOCUSED = """() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element.id || element.className;
}"""
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 860}


@contextmanager
def open_tab(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Load a page in a new tab without a session, and record the events of its widget. Errors in scripts fail."""
    settings: dict[str, Any] = {"viewport": DESKTOP, "reduced_motion": "reduce", "locale": "en-US", **options}
    context = browser.new_context(**settings)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(RECORD_EVENTS)
    try:
        page.goto(url)
        yield page
    finally:
        context.close()
    assert errors == []


def page_url(server: Server, fragment: str = "") -> str:
    """Return the address of the page."""
    return f"http://localhost:{server.port}/{fragment}"


def finish_search(page: Page, action: Callable[[], object]) -> None:
    """Do something that starts a search, and wait for its results or its error.

    `wait_for_function` needs a function here and elsewhere: it evaluates an expression again and again, which the
    content security policy of the page forbids.
    """
    before = page.evaluate(COUNT_FINISHED)
    action()
    page.wait_for_function(f"before => {COUNT_FINISHED} > before", arg=before)
    # the event of results comes after they are shown, the status of the widget changes right after it
    page.locator("#widget:not(.is-busy)").wait_for()


def click_and_wait(page: Page, selector: str) -> None:
    """Click an element that starts a search, and wait for its results."""
    finish_search(page, page.locator(selector).first.click)


def choose_photo(page: Page, photo: bytes, media_type: str = "image/jpeg") -> None:
    """Choose a file in the file dialog of the widget."""
    page.locator("#file").set_input_files({"name": "photo", "mimeType": media_type, "buffer": photo})


def search(page: Page, photo: bytes) -> None:
    """Search with a photo and wait for the results."""
    finish_search(page, lambda: choose_photo(page, photo))


def search_words(page: Page, words: str) -> None:
    """Search with words and wait for the results or an error."""
    page.locator("#words").fill(words)
    finish_search(page, lambda: page.locator("#words").press("Enter"))


def events(page: Page, name: str) -> list[Any]:
    """Return the details of the widget's events of this name, without its prefix."""
    details: list[Any] = page.evaluate(
        "name => window.events.filter((one) => one.name === name).map(({ detail }) => detail)", name
    )
    return details


def last_request(page: Page) -> dict[str, Any]:
    """Return the JSON of the last search."""
    request: dict[str, Any] = events(page, "search")[-1]["request"]
    return request


def texts(page: Page, selector: str) -> list[str]:
    """Return the texts of the elements that a CSS selector selects."""
    return [text.strip() for text in page.locator(selector).all_text_contents()]


def text(page: Page, element: str) -> str:
    """Return the text of the element with this id."""
    return page.locator(f"#{element}").first.text_content() or ""


def focused(page: Page) -> str:
    """Return the id, or else the class, of the element that has the focus."""
    name: str = page.evaluate(FOCUSED)
    return name


def stored_photos(page: Page) -> list[str]:
    """Return the names of the photos of the matches."""
    names = page.locator(".match").evaluate_all("items => items.map(({ dataset }) => dataset.garment)")
    return [str(name).rpartition("_segment_")[0] for name in names]


def frame_point(page: Page, x_share: float, y_share: float) -> tuple[float, float]:
    """Return a place in the photo, as a share of its width and height, in CSS pixels of the window."""
    frame = page.locator("#photo-frame")
    frame.evaluate("element => element.scrollIntoView({ block: 'center' })")
    box = frame.bounding_box()
    assert box is not None
    return box["x"] + x_share * box["width"], box["y"] + y_share * box["height"]


def drag_mouse(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press the mouse button, move in two steps and release the button."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=2)
    page.mouse.up()


def drag_finger(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Touch the screen, move in two steps and lift the finger."""
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    session = page.context.new_cdp_session(page)
    for kind, (x, y) in [("touchStart", start), ("touchMove", middle), ("touchMove", end)]:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def hand_over_file(element: Locator, event: str, data: bytes, media_type: str = "image/jpeg") -> None:
    """Drop or paste a file on an element."""
    element.evaluate(
        """(element, [event, bytes, type]) => {
          const files = new DataTransfer();
          files.items.add(new File([Uint8Array.from(bytes)], "photo", { type }));
          const options = { bubbles: true, cancelable: true, composed: true };
          element.dispatchEvent(event === "paste"
            ? new ClipboardEvent("paste", { ...options, clipboardData: files })
            : new DragEvent(event, { ...options, dataTransfer: files }));
        }""",
        [event, list(data), media_type],
    )


def violations(page: Page) -> list[str]:
    """Return what axe finds: rules of WCAG 2.2 A and AA, and best practices."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]

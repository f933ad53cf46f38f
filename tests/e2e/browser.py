"""What tests do with the page in the browser."""

import base64
import json
from typing import Any

from infra.images.chromium import Page
from tests.e2e.server import Server

IS_IDLE = "!document.body.classList.contains('is-busy') && document.getElementById('status').textContent !== ''"


def open_page(page: Page, server: Server, fragment: str = "", width: int = 1280) -> None:
    """Load the page in a window of this width."""
    page.open(f"http://localhost:{server.port}/{fragment}", width, 860)
    page.wait_for("document.readyState === 'complete'")


def text(page: Page, element: str) -> str:
    """Return the text of the element with this id."""
    content: str = page.evaluate(f"document.getElementById('{element}').textContent")
    return content


def texts(page: Page, selector: str) -> list[str]:
    """Return the texts of the elements that a CSS selector selects."""
    found = f"Array.from(document.querySelectorAll({json.dumps(selector)}), (one) => one.textContent.trim())"
    contents: list[str] = page.evaluate(found)
    return contents


def is_hidden(page: Page, selector: str) -> bool:
    """Return whether an element is not displayed."""
    return bool(page.evaluate(f"document.querySelector({json.dumps(selector)}).getClientRects().length === 0"))


def click(page: Page, selector: str) -> None:
    """Click the first element that a CSS selector selects."""
    page.evaluate(f"document.querySelector({json.dumps(selector)}).click()")


def click_and_wait(page: Page, selector: str) -> None:
    """Click an element that starts a search, and wait for the results."""
    start_request(page, f"document.querySelector({json.dumps(selector)}).click()")


def start_request(page: Page, script: str) -> None:
    """Run a script that starts a search, and wait for the results."""
    page.evaluate("document.getElementById('status').textContent = ''")
    page.evaluate(script)
    page.wait_for(IS_IDLE)


def fill(page: Page, element: str, value: str) -> None:
    """Set the value of a text field."""
    page.evaluate(f"document.getElementById('{element}').value = {json.dumps(value)}")


def drop_file(page: Page, data: bytes, media_type: str = "image/jpeg") -> None:
    """Drop a file on the page."""
    page.evaluate(
        f"""(() => {{
          const bytes = Uint8Array.from(atob("{base64.b64encode(data).decode()}"), (character) => character.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], "photo", {{ type: "{media_type}" }}));
          document.dispatchEvent(new DragEvent("drop", {{ dataTransfer, cancelable: true }}));
        }})()"""
    )


def search(page: Page, photo: bytes) -> None:
    """Search with a photo and wait for the results."""
    drop_file(page, photo)
    page.wait_for(f"document.body.classList.contains('is-busy') || ({IS_IDLE})")
    page.wait_for(IS_IDLE)


def search_words(page: Page, words: str) -> None:
    """Search with words and wait for the results or an error."""
    fill(page, "words", words)
    page.evaluate("document.getElementById('status').textContent = ''")
    page.evaluate("document.getElementById('search-form').requestSubmit()")
    page.wait_for("!document.body.classList.contains('is-busy')")


def record_searches(page: Page) -> None:
    """Record the JSON and the abort signal of every request to `/search` from now on."""
    page.evaluate(
        """(() => {
          window.searches = [];
          const send = window.fetch;
          window.fetch = (path, options) => {
            if (path === "search") {
              const { body, signal } = options;
              const request = JSON.parse(body instanceof FormData ? body.get("request") : body);
              window.searches.push({ request, hasPhoto: body instanceof FormData && body.has("photo"), signal });
            }
            return send(path, options);
          };
        })()"""
    )


def last_request(page: Page) -> dict[str, Any]:
    """Return the JSON of the last recorded search."""
    request: dict[str, Any] = page.evaluate("window.searches.at(-1).request")
    return request


def frame_point(page: Page, x_share: float, y_share: float) -> tuple[float, float]:
    """Return a place in the photo, as a share of its width and height, in CSS pixels of the window."""
    page.evaluate("document.getElementById('photo-frame').scrollIntoView({ block: 'center' })")
    frame = "document.getElementById('photo-frame').getBoundingClientRect()"
    x, y, width, height = page.evaluate(f"(({{ x, y, width, height }}) => [x, y, width, height])({frame})")
    return x + x_share * width, y + y_share * height


def drag_mouse(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press the mouse button, move in two steps and release the button."""
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    events = [("mousePressed", start), ("mouseMoved", middle), ("mouseMoved", end), ("mouseReleased", end)]
    for kind, (x, y) in events:
        buttons = 0 if kind == "mouseReleased" else 1
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)


def drag_finger(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Touch the screen, move in two steps and lift the finger."""
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    for kind, (x, y) in [("touchStart", start), ("touchMove", middle), ("touchMove", end)]:
        page.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
    page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def press(page: Page, key: str, shift: bool = False) -> None:
    """Press and release a key."""
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, modifiers=8 if shift else 0)

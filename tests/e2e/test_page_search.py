"""Searches in the widget by words, examples, areas, colors and filters, in headless Chromium against a real server."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.conftest import jpeg
from tests.e2e.browser import (
    DESKTOP,
    PHONE,
    click_and_wait,
    drag_finger,
    drag_mouse,
    events,
    finish_search,
    focused,
    frame_point,
    hand_over_file,
    last_request,
    open_tab,
    page_url,
    search,
    search_words,
    stored_photos,
    text,
    texts,
    violations,
)
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
PHOTO_COUNT = 16
PHOTO = jpeg(sample_photo(3))
OUTFIT = jpeg(sample_photo(1, outfit=True))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with `PHOTO_COUNT` photos, the first two of which show one product."""
    running_server = Server(tmp_path_factory.mktemp("page-search")).start()
    for number in range(PHOTO_COUNT):
        assert running_server.upload(jpeg(sample_photo(number)), f"photo-{number}").status == 200
        details = {"product_name": f"Model {max(1, number)}", "brand": "Marlow" if number < 4 else "Ost"}
        running_server.request("PUT", f"/image_detail/photo-{number}", details, running_server.admin_headers)
    yield running_server
    assert running_server.stop() == 0


@pytest.fixture
def page(server: Server, chromium: Browser) -> Iterator[Page]:
    """The page in a new tab."""
    with open_tab(chromium, page_url(server)) as tab:
        yield tab


def kinds(page: Page) -> list[str]:
    """Return the garment kinds of the matches, as their cards name them."""
    return [brand.split(" · ")[0] for brand in texts(page, ".match .brand")]


def stored_label(page: Page) -> str:
    """Return the kind of a stored garment."""
    search(page, PHOTO)
    label = kinds(page)[0]
    page.locator("#start-over").click()
    return label


def photo_size(page: Page) -> tuple[int, int]:
    width, height = page.locator("#photo").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    return width, height


def test_words_alone_find_garments_and_are_explained(page: Page) -> None:
    label = stored_label(page)
    search_words(page, f"{label} in")
    assert set(kinds(page)) == {label}
    assert label in text(page, "understood") and "Ignored: in." in text(page, "understood")
    expect(page.locator("#photo-panel")).to_be_hidden()
    expect(page.locator("#add-photo")).to_be_visible()


def test_words_that_are_not_understood_show_code_and_message_of_the_server(page: Page) -> None:
    search_words(page, "xyzzy")
    error = page.locator("#widget #error")
    expect(error).to_contain_text("The search could not be understood. (invalid_field)")
    expect(error).to_contain_text("xyzzy")
    expect(page.locator("#error-retry")).to_be_hidden()
    assert kinds(page) == [] and violations(page) == []


def test_words_limit_the_matches_of_a_garment_in_the_photo(page: Page) -> None:
    search(page, OUTFIT)
    label = kinds(page)[0]
    search_words(page, label)
    example, words = last_request(page)["query"]
    assert len(example["bounding_box"]) == 4 and words == {"text": label}
    assert set(kinds(page)) == {label}
    assert texts(page, ".garment") != []


def test_photo_after_words_is_combined_with_them(page: Page) -> None:
    label = stored_label(page)
    search_words(page, label)
    search(page, OUTFIT)
    assert [set(example) for example in last_request(page)["query"]] == [{"image", "bounding_box"}, {"text"}]
    assert len(texts(page, ".garment")) > 0 and set(kinds(page)) == {label}


def test_photo_is_dropped_on_the_widget(page: Page) -> None:
    finish_search(page, lambda: hand_over_file(page.locator("#start-view"), "drop", PHOTO))
    assert last_request(page)["segment"] is True


def test_more_and_less_like_a_match_become_removable_examples(page: Page) -> None:
    search(page, PHOTO)
    click_and_wait(page, ".match .more")
    assert focused(page) == "matches-title"
    click_and_wait(page, ".match:nth-child(2) .less")
    assert texts(page, ".chip-sign") == ["+", "+", "−"]
    assert [example.get("weight") for example in last_request(page)["query"]] == [None, 1, -0.5]
    click_and_wait(page, ".chip button")
    expect(page.locator("#photo-panel")).to_be_hidden()
    assert texts(page, ".chip-sign") == ["+", "−"]
    used = {example["id"] for example in last_request(page)["query"]}
    assert len(used) == 2 and len(kinds(page)) > 0
    # Without something to search for, the garment to avoid goes, too.
    page.locator(".chip button").first.click()
    expect(page.locator("#start-view")).to_be_visible()
    assert texts(page, ".chip") == []


def test_search_by_stored_garment_sends_no_photo(page: Page) -> None:
    search_words(page, stored_label(page))
    click_and_wait(page, ".match .more")
    page.locator("#words").fill("")
    with page.expect_request("**/search") as request:
        finish_search(page, lambda: page.locator("#words").press("Enter"))
    assert request.value.headers["content-type"] == "application/json"
    assert [set(example) for example in last_request(page)["query"]] == [{"id", "weight"}]
    assert texts(page, ".match .similarity")[0].startswith("Similarity ")


def test_area_is_drawn_with_the_mouse(page: Page) -> None:
    search(page, OUTFIT)
    width, height = photo_size(page)
    corners = frame_point(page, 0.2, 0.1), frame_point(page, 0.8, 0.5)
    finish_search(page, lambda: drag_mouse(page, *corners))
    expect(page.locator("#matches-title")).to_contain_text("your area")
    box = last_request(page)["query"][0]["bounding_box"]
    wanted = [0.2 * width, 0.1 * height, 0.8 * width, 0.5 * height]
    assert box == pytest.approx(wanted, abs=0.02 * max(width, height))
    page.locator(".garment").first.click()
    expect(page.locator("#own-box")).to_be_hidden()
    assert "your area" not in text(page, "matches-title")


def test_area_is_drawn_with_a_finger_after_the_button_is_pressed(server: Server, chromium: Browser) -> None:
    with open_tab(chromium, page_url(server), viewport=PHONE, has_touch=True, is_mobile=True) as page:
        expect(page.locator("#take-photo")).to_be_visible()
        search(page, OUTFIT)
        drag_finger(page, frame_point(page, 0.1, 0.3), frame_point(page, 0.9, 0.6))
        assert len(events(page, "search")) == 1
        page.locator("#mark-area").tap()
        corners = frame_point(page, 0.1, 0.1), frame_point(page, 0.9, 0.24)
        finish_search(page, lambda: drag_finger(page, *corners))
        assert len(last_request(page)["query"][0]["bounding_box"]) == 4


def test_area_is_moved_and_resized_with_the_keyboard(page: Page) -> None:
    search(page, OUTFIT)
    page.locator("#mark-area").click()
    assert focused(page) == "own-box"
    width, height = photo_size(page)

    def move_and_resize() -> None:
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowDown")
        assert "27% from the left, 25% from the top, 50% wide, 52% high" in text(page, "area-position")

    finish_search(page, move_and_resize)
    box = last_request(page)["query"][0]["bounding_box"]
    assert box == pytest.approx([0.27 * width, 0.25 * height, 0.77 * width, 0.77 * height], abs=0.11)
    finish_search(page, lambda: page.keyboard.press("Escape"))
    assert last_request(page)["segment"] is True
    assert focused(page) == "mark-area"


def test_color_lists_garments_and_limits_matches(page: Page) -> None:
    page.locator("#color summary").click()
    click_and_wait(page, "#basic-colors [title=blue]")
    assert text(page, "color-name") == "Color: blue" and texts(page, ".match .similarity")[0] == ""
    assert "color difference" in texts(page, ".match .reasons")[0]
    assert text(page, "matches-summary").endswith(", nearest color first.")
    page.locator("#color summary").click()
    page.locator("#color-within").fill("60")
    page.locator("#color-near").fill("#112233")
    click_and_wait(page, "#color-form .primary")
    assert last_request(page)["color"] == {"near": "#112233", "within": 60}
    expect(page.locator(".match .less").first).to_be_disabled()
    page.locator("#color summary").click()
    page.locator("#color-remove").click()
    expect(page.locator("#start-view")).to_be_visible()


def test_counts_are_filters(page: Page) -> None:
    search(page, PHOTO)
    assert [section.split()[0] for section in texts(page, ".facet legend")] == ["kind", "color", "brand"]
    page.locator("#filters summary").click()
    button = page.locator("[data-facet='brand=Ost']")
    finish_search(page, button.click)
    assert last_request(page)["filter"] == {"brand": ["Ost"]} and text(page, "filters-title") == "Filters (1)"
    expect(button).to_have_attribute("aria-pressed", "true")
    # the button is a new one, which has the focus of the one that was pressed
    assert focused(page) == "facet-value"
    assert int(button.locator(".facet-count").text_content() or "") == page.locator(".match").count()
    finish_search(page, button.click)
    assert last_request(page)["filter"] == {}


def test_products_are_shown_once(page: Page) -> None:
    search(page, PHOTO)
    page.locator("#filters summary").click()
    click_and_wait(page, "[data-facet='brand=Marlow']")
    assert {"photo-0", "photo-1"} <= set(stored_photos(page))
    click_and_wait(page, "#group-products")
    assert len({"photo-0", "photo-1"} & set(stored_photos(page))) == 1
    assert any("best of" in reasons for reasons in texts(page, ".match .reasons"))


@pytest.mark.parametrize("is_photo", [True, False])
def test_further_matches_are_added(page: Page, is_photo: bool) -> None:
    search(page, PHOTO)
    if not is_photo:
        click_and_wait(page, ".match .more")
    names = "items => items.map(({ dataset }) => dataset.garment)"
    before = page.locator(".match").evaluate_all(names)
    assert len(before) == 12
    page.locator("#show-more").click()
    expect(page.locator(".match:nth-child(13)")).to_be_visible()
    after = page.locator(".match").evaluate_all(names)
    assert after[:12] == before and len(set(after)) == len(after)
    expect(page.locator("#show-more")).to_be_hidden()
    expect(page.locator(".match:nth-child(13) .card")).to_be_focused()
    assert text(page, "matches-summary").startswith(str(len(after)))


def test_new_search_cancels_the_running_one(page: Page) -> None:
    canceled: list[str] = []
    page.on("request", lambda request: canceled.append(request.url) if "/cancel_request/" in request.url else None)
    page.evaluate(
        """() => {
          const widget = document.getElementById("search");
          void widget.search({ words: "dress" });
          void widget.search({ words: "skirt" });
        }"""
    )
    page.wait_for_function("() => window.events.some(({ name }) => name === 'results')")
    assert "skirt" in text(page, "matches-title") and len(canceled) == 1
    assert len(events(page, "results")) == 1


def test_cancel_button_cancels_on_the_server(page: Page) -> None:
    held: list[Route] = []
    page.route("**/search", lambda route: held.append(route))
    page.locator("#words").fill("dress")
    page.locator("#words").press("Enter")
    expect(page.locator("#cancel")).to_be_visible()
    with page.expect_request("**/cancel_request/*") as request:
        finish_search(page, page.locator("#cancel").click)
    assert request.value.method == "POST"
    # the server does not know the request, which was held back, so the widget stops waiting for it
    expect(page.locator("#widget #status")).to_have_text("Canceled.")
    expect(page.locator("#search-again")).to_be_visible()
    assert len(events(page, "cancel")) == 1 and page.locator(".placeholder").count() == 0
    page.unroute("**/search")
    click_and_wait(page, "#search-again")
    assert len(events(page, "results")) == 1


def test_server_that_cannot_be_reached_can_be_tried_again(page: Page) -> None:
    page.route("**/search", lambda route: route.abort())
    search_words(page, "dress")
    expect(page.locator("#widget #error-text")).to_have_text("The server did not respond. (unreachable)")
    page.unroute("**/search")
    click_and_wait(page, "#error-retry")
    expect(page.locator("#widget #error")).to_be_hidden()


def test_start_over_forgets_everything(page: Page) -> None:
    search(page, PHOTO)
    click_and_wait(page, ".match .more")
    page.locator("#color summary").click()
    click_and_wait(page, "#basic-colors [title=black]")
    page.locator("#start-over").click()
    expect(page.locator("#start-view")).to_be_visible()
    assert text(page, "color-name") == "Color" and focused(page) == "start-title"
    search(page, PHOTO)
    assert last_request(page)["query"] == [{"image": "photo"}] and last_request(page)["color"] is None


def test_search_works_with_the_keyboard_alone(page: Page) -> None:
    search(page, OUTFIT)
    page.locator("#start-over").focus()
    seen = []
    for _ in range(24):
        page.keyboard.press("Tab")
        seen.append(focused(page))
    names = [(name.split() or [""])[0] for name in seen]
    order = ["bounding-box", "mark-area", "remove-photo", "garment", "card", "more", "less"]
    positions = [names.index(name) for name in order]
    assert positions == sorted(positions), names


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_results_with_examples_and_filters_are_accessible(
    server: Server, chromium: Browser, viewport: dict[str, int]
) -> None:
    with open_tab(chromium, page_url(server), viewport=viewport) as page:
        search(page, OUTFIT)
        click_and_wait(page, ".match .more")
        page.locator("#filters summary").click()
        page.locator("#mark-area").click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

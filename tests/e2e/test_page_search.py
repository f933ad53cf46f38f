"""Searches on the page by words, examples, areas, colors and filters, in headless Chromium against a real server."""

from collections.abc import Iterator

import pytest

from infra.images.chromium import Page, find_chromium, start_chromium
from tests.conftest import jpeg
from tests.e2e.browser import (
    click,
    click_and_wait,
    drag_finger,
    drag_mouse,
    frame_point,
    is_hidden,
    last_request,
    open_page,
    press,
    record_searches,
    search,
    search_words,
    start_request,
    text,
    texts,
)
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

try:
    find_chromium()
except FileNotFoundError as missing:
    pytest.skip(str(missing), allow_module_level=True)

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    """A tab for all tests. None of them stores anything in it."""
    with start_chromium() as tab:
        yield tab


@pytest.fixture
def page(server: Server, browser: Page) -> Page:
    """The page, newly loaded. Its searches are recorded."""
    open_page(browser, server)
    record_searches(browser)
    return browser


def labels(page: Page) -> list[str]:
    return texts(page, ".match .label")


def stored_label(page: Page) -> str:
    """Return the kind of a stored garment."""
    search(page, PHOTO)
    label = labels(page)[0]
    click(page, "#start-over")
    return label


def test_words_alone_find_garments_and_are_explained(page: Page) -> None:
    label = stored_label(page)
    search_words(page, f"{label} in")
    assert set(labels(page)) == {label}
    assert label in text(page, "understood") and "Ignored: in." in text(page, "understood")
    assert is_hidden(page, "#photo-panel") and not is_hidden(page, "#add-photo")


def test_words_that_are_not_understood_show_the_message_of_the_server(page: Page) -> None:
    search_words(page, "xyzzy")
    assert "xyzzy" in text(page, "error-text") and labels(page) == []


def test_words_limit_the_matches_of_a_garment_in_the_photo(page: Page) -> None:
    search(page, OUTFIT)
    label = labels(page)[0]
    search_words(page, label)
    example, words = last_request(page)["query"]
    assert len(example["bounding_box"]) == 4 and words == {"text": label}
    assert set(labels(page)) == {label}
    assert texts(page, ".garment") != []


def test_photo_after_words_is_combined_with_them(page: Page) -> None:
    label = stored_label(page)
    search_words(page, label)
    search(page, OUTFIT)
    assert [set(example) for example in last_request(page)["query"]] == [{"image", "bounding_box"}, {"text"}]
    assert len(texts(page, ".garment")) > 0 and set(labels(page)) == {label}


def test_more_and_less_like_a_match_become_removable_examples(page: Page) -> None:
    search(page, PHOTO)
    click_and_wait(page, ".match .more")
    assert page.evaluate("document.activeElement.id") == "matches-title"
    click_and_wait(page, ".match:nth-child(2) .less")
    assert texts(page, ".chip-sign") == ["+", "+", "−"]
    assert [example.get("weight") for example in last_request(page)["query"]] == [None, 1, -0.5]
    click_and_wait(page, ".chip button")
    assert is_hidden(page, "#photo-panel") and texts(page, ".chip-sign") == ["+", "−"]
    used = {example["id"] for example in last_request(page)["query"]}
    assert len(used) == 2 and len(labels(page)) > 0
    # Without something to search for, the garment to avoid goes, too.
    click(page, ".chip button")
    assert not is_hidden(page, "#start-view") and texts(page, ".chip") == []


def test_search_by_stored_garment_sends_no_photo(page: Page) -> None:
    search_words(page, stored_label(page))
    click_and_wait(page, ".match .more")
    page.evaluate("document.getElementById('words').value = ''")
    start_request(page, "document.getElementById('search-form').requestSubmit()")
    assert page.evaluate("window.searches.at(-1).hasPhoto") is False
    assert [set(example) for example in last_request(page)["query"]] == [{"id", "weight"}]
    assert float(texts(page, ".match .similarity")[0]) <= 1


def test_area_is_drawn_with_the_mouse(page: Page) -> None:
    search(page, OUTFIT)
    size = page.evaluate(
        "[document.getElementById('photo').naturalWidth, document.getElementById('photo').naturalHeight]"
    )
    drag_mouse(page, frame_point(page, 0.2, 0.1), frame_point(page, 0.8, 0.5))
    page.wait_for(
        "document.getElementById('matches-title').textContent.includes('your area') && window.searches.length === 2"
    )
    page.wait_for("document.querySelectorAll('.card').length > 0")
    box = last_request(page)["query"][0]["bounding_box"]
    wanted = [0.2 * size[0], 0.1 * size[1], 0.8 * size[0], 0.5 * size[1]]
    assert box == pytest.approx(wanted, abs=0.02 * max(size))
    click(page, ".garment")
    assert is_hidden(page, "#own-box") and "your area" not in text(page, "matches-title")


def test_area_is_drawn_with_a_finger_after_the_button_is_pressed(server: Server, page: Page) -> None:
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    open_page(page, server, width=360)
    record_searches(page)
    search(page, OUTFIT)
    drag_finger(page, frame_point(page, 0.1, 0.1), frame_point(page, 0.9, 0.4))
    assert page.evaluate("window.searches.length") == 1
    click(page, "#mark-area")
    drag_finger(page, frame_point(page, 0.1, 0.1), frame_point(page, 0.9, 0.24))
    page.wait_for("window.searches.length === 2")
    page.call("Emulation.setTouchEmulationEnabled", enabled=False)
    assert len(last_request(page)["query"][0]["bounding_box"]) == 4


def test_area_is_moved_and_resized_with_the_keyboard(page: Page) -> None:
    search(page, OUTFIT)
    click(page, "#mark-area")
    assert page.evaluate("document.activeElement.id") == "own-box"
    size = page.evaluate(
        "[document.getElementById('photo').naturalWidth, document.getElementById('photo').naturalHeight]"
    )
    press(page, "ArrowRight")
    press(page, "ArrowDown", shift=True)
    assert "27% from the left, 25% from the top, 50% wide, 52% high" in text(page, "area-position")
    page.wait_for("window.searches.length === 2")
    box = last_request(page)["query"][0]["bounding_box"]
    wanted = [0.27 * size[0], 0.25 * size[1], 0.77 * size[0], 0.77 * size[1]]
    assert box == pytest.approx(wanted, abs=0.11)
    press(page, "Escape")
    page.wait_for("window.searches.length === 3")
    assert last_request(page)["segment"] is True
    assert page.evaluate("document.activeElement.id") == "mark-area"


def test_color_lists_garments_and_limits_matches(page: Page) -> None:
    start_request(page, "document.querySelector('#basic-colors [title=blue]').click()")
    assert text(page, "color-name") == "Color: blue" and texts(page, ".match .similarity")[0] == ""
    assert "color difference" in texts(page, ".match .reasons")[0]
    assert text(page, "matches-summary").endswith(", nearest color first.")
    page.evaluate("document.getElementById('color-within').value = 60")
    page.evaluate("document.getElementById('color-near').value = '#112233'")
    start_request(page, "document.getElementById('color-form').requestSubmit()")
    assert last_request(page)["color"] == {"near": "#112233", "within": 60}
    assert page.evaluate("document.querySelector('.match .less').disabled") is True
    click(page, "#color-remove")
    assert not is_hidden(page, "#start-view")


def test_counts_are_filters(page: Page) -> None:
    search(page, PHOTO)
    assert [section.split()[0] for section in texts(page, ".facet legend")] == ["kind", "color", "brand"]
    selector = "[data-facet='brand=Ost']"
    click_and_wait(page, selector)
    assert last_request(page)["filter"] == {"brand": ["Ost"]} and text(page, "filters-title") == "Filters (1)"
    assert page.evaluate(f'document.querySelector("{selector}").getAttribute("aria-pressed")') == "true"
    count = int(page.evaluate(f'document.querySelector("{selector} .facet-count").textContent'))
    assert count == len(texts(page, ".match"))
    click_and_wait(page, selector)
    assert last_request(page)["filter"] == {}


def test_products_are_shown_once(page: Page) -> None:
    search(page, PHOTO)
    click_and_wait(page, "[data-facet='brand=Marlow']")
    assert {"photo-0", "photo-1"} <= set(texts(page, ".match .photo-id"))
    click_and_wait(page, "#group-products")
    assert len({"photo-0", "photo-1"} & set(texts(page, ".match .photo-id"))) == 1
    assert any("best of" in reasons for reasons in texts(page, ".match .reasons"))


@pytest.mark.parametrize("is_photo", [True, False])
def test_further_matches_are_added(page: Page, is_photo: bool) -> None:
    search(page, PHOTO)
    if not is_photo:
        click_and_wait(page, ".match .more")
    before = texts(page, ".match .photo-id")
    assert len(before) == 12 and not is_hidden(page, "#show-more")
    click(page, "#show-more")
    page.wait_for("document.querySelectorAll('.match').length > 12")
    after = texts(page, ".match .photo-id")
    assert after[:12] == before and len(set(after)) == len(after)
    assert is_hidden(page, "#show-more")
    assert page.evaluate("document.activeElement === document.querySelector('.match:nth-child(13) .card')") is True
    assert text(page, "matches-summary").startswith(str(len(after)))


def test_new_search_cancels_the_running_one(page: Page) -> None:
    page.evaluate(
        """for (const words of ["dress", "skirt"]) {
          document.getElementById("words").value = words;
          document.getElementById("search-form").requestSubmit();
        }"""
    )
    assert page.evaluate("window.searches.map(({ signal }) => signal.aborted)") == [True, False]
    page.wait_for("!document.body.classList.contains('is-busy')")
    assert "skirt" in text(page, "matches-title")


def test_start_over_forgets_everything(page: Page) -> None:
    search(page, PHOTO)
    click_and_wait(page, ".match .more")
    start_request(page, "document.querySelector('#basic-colors [title=black]').click()")
    click(page, "#start-over")
    assert not is_hidden(page, "#start-view") and text(page, "color-name") == "Color"
    assert page.evaluate("document.activeElement.id") == "start-title"
    search(page, PHOTO)
    assert last_request(page)["query"] == [{"image": "photo"}] and last_request(page)["color"] is None


@pytest.mark.parametrize("width", [360, 1280])
def test_page_fits_and_controls_have_names(server: Server, page: Page, width: int) -> None:
    open_page(page, server, width=width)
    search(page, OUTFIT)
    click_and_wait(page, ".match .more")
    click(page, "#filters summary")
    click(page, "#color summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "textbox", "searchbox", "slider", "checkbox", "ColorWell", "application", "link"}
    controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
    assert len(controls) > 20
    assert [node for node in controls if not node["name"]["value"]] == []

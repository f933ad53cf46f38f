"""The widget in the made-up shop of `examples/shop`: a page of another origin, with a key that can only search."""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from lookalike.adapters.catalog import open_catalog
from lookalike.domain.product import Money, Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.http.widget import WIDGET_PATH
from tests.conftest import jpeg
from tests.docs.markdown import ROOT
from tests.e2e.browser import (
    DESKTOP,
    PHONE,
    choose_photo,
    click_and_wait,
    events,
    finish_search,
    focused,
    hand_over_file,
    last_request,
    open_tab,
    page_url,
    search_words,
    violations,
)
from tests.e2e.server import Server
from tests.e2e.shop import serve_folder, write_shop
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
PHOTO, OTHER_PHOTO = jpeg(sample_photo(3)), jpeg(sample_photo(8))
STRICT_POLICY = "default-src 'self'; script-src 'self' {api}; connect-src {api}; img-src blob: data:; style-src 'self'; require-trusted-types-for 'script'"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which searches need a token or a key, with two photos of which one shows a product."""
    running = Server(tmp_path_factory.mktemp("widget"), {"SEARCH_NEEDS_SIGN_IN": "true"}).start()
    for name, photo in (("one", PHOTO), ("two", OTHER_PHOTO)):
        assert running.upload(photo, name).status == 200
    details = {"product_name": "Blue dress", "brand": "Ost", "url": "https://shop.example/blue-dress"}
    running.request("PUT", "/image_detail/one", details, running.admin_headers)
    price, sale_price = Money(Decimal("79.99"), "EUR"), Money(Decimal("59.99"), "EUR")
    picture = StoredPicture("https://shop.example/one.jpg", photo="one", garment="one_segment_0")
    with closing(open_catalog(f"sqlite:///{running.folder / '.lookalike' / 'lookalike.db'}")) as catalog:
        product = Product("A-1", price=price, sale_price=sale_price)
        catalog.save_product(StoredProduct(product, "feed", (picture,)))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the made-up shop, whose page has the address of the server and a key."""
    folder = tmp_path_factory.mktemp("shop")
    key = write_shop(server, folder)
    api = page_url(server).rstrip("/")
    page = (folder / "index.html").read_text()
    (folder / "rtl.html").write_text(page.replace('<html lang="en">', '<html lang="ar" dir="rtl">'))
    for lang in ("de", "fr", "es", "zh-Hans", "ja"):
        (folder / f"{lang}.html").write_text(page.replace('<html lang="en">', f'<html lang="{lang}">'))
    (folder / "wrong-key.html").write_text(page.replace(key, "lk_wrong"))
    with serve_folder(folder, STRICT_POLICY.format(api=api)) as address:
        yield address


@pytest.fixture
def page(shop: str, chromium: Browser) -> Iterator[Page]:
    """The shop in a new tab, without the search in a dialog."""
    with open_shop(chromium, shop) as tab:
        yield tab


@contextmanager
def open_shop(chromium: Browser, shop: str, path: str = "index.html", **options: Any) -> Iterator[Page]:
    """Open a page of the shop without its second search, so that ids are unique."""
    with open_tab(chromium, f"{shop}/{path}", **options) as tab:
        policy: list[str] = []
        tab.on("console", lambda message: policy.append(message.text) if "Content Security" in message.text else None)
        tab.wait_for_function("() => customElements.get('lookalike-search') !== undefined")
        tab.evaluate("document.getElementById('quick').remove()")
        yield tab
        assert policy == []


def test_shop_finds_its_products_with_a_search_key(page: Page, server: Server) -> None:
    finish_search(page, lambda: choose_photo(page, PHOTO))
    card = page.locator(".card", has_text="Blue dress")
    expect(card).to_have_attribute("href", "https://shop.example/blue-dress")
    expect(card).to_have_attribute("target", "_self")
    assert "Ost" in (card.locator(".brand").text_content() or "")
    assert (card.locator(".similarity").text_content() or "").startswith("Similarity 1.00")
    expect(card.locator(".price")).to_have_text("€59.99 €79.99")
    feedback: list[str] = []
    page.on("request", lambda request: feedback.append(request.url) if "/feedback" in request.url else None)
    page.evaluate("document.querySelector('#search').addEventListener('lookalike-select', (e) => e.preventDefault())")
    card.click()
    (chosen,) = events(page, "select")
    assert chosen["match"]["original_image_id"] == "one" and chosen["url"] == "https://shop.example/blue-dress"
    expect(page.locator("#last-choice")).to_have_text("You looked at Blue dress.")
    # a key may not record choices
    assert feedback == [] and "shop.example" not in page.url
    click_and_wait(page, ".match .more")
    assert [set(example) for example in last_request(page)["query"]] == [{"image", "bounding_box"}, {"id", "weight"}]


def test_dialog_opens_from_its_button_and_closes(shop: str, chromium: Browser) -> None:
    with open_tab(chromium, f"{shop}/index.html") as page:
        page.wait_for_function("() => customElements.get('lookalike-search') !== undefined")
        page.evaluate("document.getElementById('search').remove()")
        expect(page.locator("#widget")).to_be_hidden()
        page.locator("#open").click()
        expect(page.locator("#widget")).to_be_visible()
        assert violations(page) == []
        finish_search(page, lambda: choose_photo(page, PHOTO))
        page.keyboard.press("Escape")
        expect(page.locator("#widget")).to_be_hidden()
        assert focused(page).split()[0] == "open"
        page.locator("#open").click()
        assert page.locator(".match .card").count() > 0
        page.locator("#close").click()
        expect(page.locator("#widget")).to_be_hidden()


def test_pasted_photo_is_searched_unless_it_is_for_another_field(page: Page) -> None:
    page.evaluate("document.body.append(document.createElement('textarea'))")
    hand_over_file(page.locator("textarea"), "paste", PHOTO)
    assert events(page, "search") == []
    finish_search(page, lambda: hand_over_file(page.locator("#search"), "paste", PHOTO))
    assert len(events(page, "results")) == 1


def test_texts_are_in_the_language_of_the_page_or_of_the_element(shop: str, chromium: Browser) -> None:
    strings = json.loads((ROOT / "infra" / "widget" / "strings.json").read_text())
    for lang in ("de", "fr", "es", "zh-Hans", "ja"):
        with open_shop(chromium, shop, f"{lang}.html") as page:
            expected = strings[lang.partition("-")[0]]
            expect(page.locator("#start-title")).to_have_text(expected["start-title"])
            search_words(page, "xyzzy")
            expect(page.locator("#error-text")).to_have_text(f"{expected['error.invalid_field']} (invalid_field)")
            assert violations(page) == []
    with open_shop(chromium, shop) as page:
        finish_search(page, lambda: choose_photo(page, PHOTO))
        page.evaluate("document.getElementById('search').lang = 'de'")
        expect(page.locator("#matches-title")).to_have_text(re.compile("^Treffer für: "))
        expect(page.locator("#words")).to_have_attribute("placeholder", strings["de"]["example-words"])
        expect(page.locator("#widget")).to_have_attribute("lang", "de")


def test_wrong_key_is_reported_with_the_code_of_the_server(shop: str, chromium: Browser) -> None:
    with open_shop(chromium, shop, "wrong-key.html") as page:
        search_words(page, "dress")
        expect(page.locator("#error-text")).to_have_text("Sign in to search. (unauthenticated)")
        (error,) = events(page, "error")
        assert (error["status"], error["code"]) == (401, "unauthenticated")


def test_right_to_left_page_mirrors_the_widget(shop: str, chromium: Browser) -> None:
    with open_shop(chromium, shop, "rtl.html") as page:
        finish_search(page, lambda: choose_photo(page, PHOTO))
        boxes = {name: page.locator(name).first.bounding_box() for name in ("#photo-panel", ".matches-panel", "#words")}
        left = {name: box["x"] for name, box in boxes.items() if box}
        assert left["#photo-panel"] > left[".matches-panel"]
        # boxes stay where they are in the photo; the largest one is the first
        frame, placed = (page.locator(name).first.bounding_box() for name in ("#photo-frame", ".bounding-box"))
        assert frame and placed
        response = events(page, "results")[0]["response"]
        areas = [((x2 - x1) * (y2 - y1), x1) for x1, y1, x2, y2 in (one["bounding_box"] for one in response["groups"])]
        wanted = max(areas)[1] / response["width"]
        assert (placed["x"] - frame["x"]) / frame["width"] == pytest.approx(wanted, abs=0.02)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_shop_is_accessible(shop: str, chromium: Browser, scheme: str, viewport: dict[str, int]) -> None:
    with open_shop(chromium, shop, color_scheme=scheme, viewport=viewport) as page:
        assert violations(page) == []
        finish_search(page, lambda: choose_photo(page, PHOTO))
        page.locator("#filters summary").click()
        page.locator("#color summary").click()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_removed_element_cancels_its_search_and_can_be_added_again(page: Page) -> None:
    page.route("**/search", lambda route: None)
    page.locator("#words").fill("dress")
    page.locator("#words").press("Enter")
    expect(page.locator("#cancel")).to_be_visible()
    with page.expect_request("**/cancel_request/*"):
        page.evaluate("window.removed = document.getElementById('search'); removed.remove()")
    page.unroute("**/search")
    page.evaluate("document.body.append(removed)")
    search_words(page, "blue")
    assert len(events(page, "results")) == 1


def test_token_set_before_the_script_is_loaded_is_used(server: Server, chromium: Browser, tmp_path: Path) -> None:
    """A page may set properties before the element is defined."""
    api = f"http://localhost:{server.port}"
    (tmp_path / "index.html").write_text(
        f"<!doctype html><html lang='en'><title>x</title><body><lookalike-search id='search' endpoint='{api}'></lookalike-search>"
        "<script src='early.js'></script>"
    )
    (tmp_path / "early.js").write_text(f"document.getElementById('search').token = {json.dumps(server.token)};")
    with serve_folder(tmp_path, "") as address, open_tab(chromium, address) as page:
        page.add_script_tag(url=f"{api}{WIDGET_PATH}", type="module")
        page.locator("#words").wait_for()
        with page.expect_response("**/search") as response:
            finish_search(page, lambda: choose_photo(page, PHOTO))
        assert response.value.status == 200
        with page.expect_response("**/feedback") as feedback:
            page.evaluate(
                "document.getElementById('search').addEventListener('lookalike-select', (e) => e.preventDefault())"
            )
            page.locator(".card").first.click()
        assert feedback.value.status == 200

"""The page around the widget in headless Chromium, against a real server: upload, sign-in, past searches, samples."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from lookalike.local.static_files import WEB_FOLDER
from tests.conftest import jpeg
from tests.contracts.databases import execute
from tests.e2e.browser import (
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
    search,
    search_words,
    text,
    texts,
    violations,
)
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
PHOTO = jpeg(sample_photo(3))
PASSWORD = "a long password of the reader"
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
BLOCKING = ("/style.css", "/lookalike-search.js", "/language.js", "/translator.js", "/dom.js", "/strings.json")
"""What the page is not painted without. `tests/web/test_page.py` checks that it is no more."""
MAX_BYTES_BEFORE_PAINT = 160_000
"""Without the photos of the samples; not compressed."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running_server = Server(tmp_path_factory.mktemp("page")).start()
    running_server.upload(PHOTO, "stored")
    yield running_server
    assert running_server.stop() == 0


@pytest.fixture
def page(server: Server, chromium: Browser) -> Iterator[Page]:
    """A new tab with the page, and no session."""
    with open_tab(chromium, page_url(server)) as tab:
        yield tab


def sign_in(page: Page, email: str) -> None:
    """Register an account and sign in."""
    page.locator("#account summary").click()
    page.locator("#email").fill(email)
    page.locator("#password").fill(PASSWORD)
    page.locator("#register").click()
    # the hash of a password takes a while
    expect(page.locator("#sign-in-message")).not_to_be_empty(timeout=30_000)
    page.locator("#password").press("Enter")
    expect(page.locator("#account-name")).to_have_text(email, timeout=30_000)


def test_garments_of_another_model_are_announced_with_the_command(server: Server, page: Page) -> None:
    server.upload(PHOTO, "converted")
    database = f"sqlite:///{server.folder / '.lookalike' / 'lookalike.db'}"
    execute(database, "UPDATE splitted_images SET embedder = 'old-1'")
    server.stop()
    server.start()
    assert "vectors of another model only" in server.log()
    page.goto(page_url(server))
    search(page, PHOTO)
    expect(page.locator("#notice")).to_contain_text("lookalike reembed")
    server.run("reembed")
    finish_search(page, lambda: page.evaluate("document.getElementById('search').refresh()"))
    assert page.locator(".match .card").count() > 0


def test_sample_photo_is_searched_on_click(page: Page) -> None:
    expect(page.locator(".sample img")).to_have_count(3)
    finish_search(page, page.locator(".sample").first.click)
    assert page.locator(".bounding-box").count() > 0


def test_photo_dropped_beside_the_widget_and_pasted_is_searched(page: Page) -> None:
    finish_search(page, lambda: hand_over_file(page.locator("footer"), "drop", PHOTO))
    finish_search(page, lambda: hand_over_file(page.locator("body"), "paste", PHOTO))
    assert [one["request"]["segment"] for one in events(page, "search")] == [True, True]


def test_match_opens_product_details(server: Server, page: Page) -> None:
    details = {"product_name": "<b>Blue dress</b>", "brand": "Ost", "url": "https://shop.example/blue"}
    server.request("PUT", "/image_detail/stored", details, server.admin_headers)
    search(page, PHOTO)
    page.locator(".card", has_text="<b>Blue dress</b>").click()
    expect(page.locator("#product-title")).to_have_text("<b>Blue dress</b>")
    expect(page.locator("#product-link")).to_have_attribute("href", "https://shop.example/blue")
    page.locator("#product-close").click()
    expect(page.locator("#product-dialog")).to_be_hidden()


def test_upload_without_session_asks_to_sign_in(page: Page) -> None:
    search(page, PHOTO)
    page.locator("#upload-button").click()
    page.locator("#error-sign-in").click()
    assert page.evaluate("document.getElementById('account').open") is True
    assert focused(page) == "email"


def test_token_in_address_signs_in_and_allows_upload(server: Server, chromium: Browser) -> None:
    token = server.token
    with open_tab(chromium, page_url(server, f"#token={token}")) as page:
        expect(page.locator("#account-name")).to_have_text("admin@localhost")
        assert token not in page.url
        search(page, PHOTO)
        page.locator("#image-name").fill("from-page")
        page.locator("#upload-button").click()
        expect(page.locator("#upload-form #status")).to_contain_text(" as from-page.")
        click_and_wait(page, "#search-again")
        page.locator("#account summary").click()
        expect(page.locator("#account-role")).to_have_text("(administrator)")
        expect(page.locator("#administration")).to_be_visible()


def test_account_is_shown_kept_on_reload_and_forgotten(page: Page) -> None:
    assert text(page, "account-name") == "Sign in"
    sign_in(page, "reader@example.org")
    expect(page.locator("#account-form")).to_be_hidden()
    assert focused(page) == "sign-out"
    expect(page.locator("#administration")).to_be_hidden()
    page.reload()
    expect(page.locator("#account-name")).to_have_text("reader@example.org")
    page.locator("#account summary").click()
    page.locator("#sign-out").click()
    assert text(page, "account-name") == "Sign in" and focused(page) == "email"
    assert page.evaluate("sessionStorage.getItem('lookalike-token')") == ""


def test_session_that_ended_is_forgotten(page: Page) -> None:
    page.evaluate("sessionStorage.setItem('lookalike-token', 'a.b.c')")
    page.reload()
    expect(page.locator("#account-name")).to_have_text("Sign in")
    expect(page.locator("#sign-in-message")).to_contain_text("Sign in again.")


def test_own_searches_are_listed_opened_repeated_and_deleted(page: Page) -> None:
    sign_in(page, "collector@example.org")
    search(page, PHOTO)
    label = texts(page, ".garment .name")[0]
    with page.expect_response("**/feedback") as feedback:
        page.locator(".card").first.click()
    assert feedback.value.status == 200
    page.locator("#product-close").click()
    search_words(page, f"{label} in")
    page.locator("#start-over").click()
    search_words(page, label)
    page.locator("#account summary").click()
    page.get_by_role("link", name="My searches").click()
    expect(page.locator(".past-search")).to_have_count(3)
    assert text(page, "account-name") == "Signed in as collector@example.org"
    assert texts(page, ".past-query")[0] == f"“{label}”" and texts(page, ".past-query")[2].startswith("Photo: ")
    page.locator(".past-search summary").nth(2).click()
    expect(page.locator(".past-match img").first).to_be_visible()
    assert any("chosen" in one for one in texts(page, ".past-similarity"))
    assert violations(page) == []
    page.locator(".again").first.click()
    expect(page.locator("#matches-title")).to_contain_text(label)
    assert last_request(page)["query"] == [{"text": label}]
    page.go_back()
    # the photo is not stored, but its vector is
    page.locator(".past-search").last.locator(".again").first.click()
    expect(page.locator(".chip-name")).to_have_text(label, timeout=30_000)
    (example,) = last_request(page)["query"]
    assert example.keys() == {"search", "garment", "weight"}
    expect(page.locator(".match .card").first).to_be_visible()
    page.go_back()
    page.locator(".past-search .delete").first.click()
    expect(page.locator(".past-search")).to_have_count(2)
    page.locator("#delete-all").click()
    page.locator("#confirm-dialog .primary").click()
    expect(page.locator("#status")).to_contain_text("No searches yet")
    page.reload()
    expect(page.locator("#status")).to_contain_text("No searches yet")


def test_searches_without_session_ask_to_sign_in(server: Server, chromium: Browser) -> None:
    with open_tab(chromium, page_url(server, "searches.html")) as page:
        expect(page.locator("#error-sign-in")).to_be_visible()


def test_file_that_is_no_image_is_rejected(page: Page) -> None:
    finish_search(page, lambda: choose_photo(page, b"text", "text/plain"))
    expect(page.locator("#widget #error-text")).to_contain_text("not an image")
    assert events(page, "error")[0]["code"] == "not_image"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, None], ids=["phone", "desktop"])
def test_page_is_accessible_and_nothing_moves(
    server: Server, chromium: Browser, scheme: str, viewport: dict[str, int] | None
) -> None:
    options = {"viewport": viewport} if viewport else {}
    with open_tab(chromium, page_url(server), color_scheme=scheme, **options) as page:
        expect(page.locator(".sample img")).to_have_count(3)
        page.locator("#account summary").click()
        assert violations(page) == []
        page.locator("#account summary").click()
        search(page, PHOTO)
        page.locator("#filters summary").click()
        page.locator("#color summary").click()
        assert violations(page) == []
        width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]


def test_first_paint_waits_for_little_and_nothing_moves(server: Server, chromium: Browser) -> None:
    """Its time depends on the machine and is printed. Its causes do not: what is loaded before, and from where."""
    loaded: list[tuple[str, int]] = []
    with open_tab(chromium, "about:blank") as page:
        page.on("response", lambda response: loaded.append((response.url, len(response.body()))))
        page.goto(page_url(server))
        expect(page.locator(".sample img")).to_have_count(3)
        page.wait_for_function("() => [...document.images].every((image) => image.complete)")
        page.wait_for_function(f"() => {FIRST_PAINT}")
        print(f"first contentful paint: {page.evaluate(FIRST_PAINT):.0f} ms")
        assert page.evaluate("window.shift") == 0
        assert page.evaluate("document.fonts.size") == 0
    assert all(url.startswith(page_url(server)) for url, _ in loaded)
    before_paint = {url.removeprefix(page_url(server)): size for url, size in loaded if url.endswith(BLOCKING)}
    assert len(before_paint) == len(BLOCKING)
    assert sum(before_paint.values()) < MAX_BYTES_BEFORE_PAINT


def test_pages_are_in_the_language_of_the_browser_until_another_is_chosen(server: Server, chromium: Browser) -> None:
    strings = json.loads((WEB_FOLDER / "strings.json").read_text())
    for locale in ("de-AT", "fr-FR", "es-MX", "zh-CN", "ja-JP", "sv-SE"):
        language = locale[:2] if locale[:2] in strings else "en"
        expected = strings[language]
        with open_tab(chromium, page_url(server), locale=locale) as page:
            expect(page.locator(".sample img")).to_have_count(3)
            expect(page.locator("html")).to_have_attribute("lang", language)
            expect(page.locator("#account-name")).to_have_text(expected["sign-in"])
            expect(page.locator("#widget")).to_have_attribute("lang", language)
            assert page.evaluate("window.shift") == 0
            page.locator("#account summary").click()
            page.locator("#email").fill("nobody@example.org")
            page.locator("#password").fill("wrong")
            page.locator("#password").press("Enter")
            # in English, the message is that of the server
            wanted = "password" if language == "en" else expected["error.unauthenticated"]
            expect(page.locator("#sign-in-message")).to_contain_text(wanted)
            assert violations(page) == []
            page.goto(page_url(server, "searches.html"))
            expect(page.locator("h2")).to_have_text(expected["my-searches"])
            expect(page).to_have_title(expected["my-searches-title"])
            expect(page.locator("#error-sign-in")).to_have_text(expected["to-sign-in"])


def test_chosen_language_is_kept_and_changes_what_is_shown(page: Page) -> None:
    search(page, PHOTO)
    page.locator("#language").select_option(label="Deutsch")
    expect(page.locator("#account-name")).to_have_text("Anmelden")
    expect(page.locator("#index-summary")).to_contain_text("im Katalog")
    expect(page.locator("#matches-title")).to_contain_text("Treffer für")
    page.locator("#upload-button").click()
    expect(page.locator("main > #error #error-text")).to_contain_text("Melde dich oben auf der Seite an.")
    expect(page.locator("main > #error #error-server")).not_to_be_empty()
    page.goto(page.url + "searches.html")
    expect(page.locator("html")).to_have_attribute("lang", "de")

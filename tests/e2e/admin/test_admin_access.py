"""The page for administrators in headless Chromium: sign-in, accounts, API keys and index versions."""

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.conftest import jpeg
from tests.e2e.admin_page import admin_url, open_section
from tests.e2e.browser import open_tab, violations
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
PHOTO = jpeg(sample_photo(3))
SLOW = 30_000
"""Milliseconds in which the first index is built: that imports scikit-learn."""
PASSWORD = "a long password of the reader"


def test_sign_in_is_for_administrators(server: Server, chromium: Browser) -> None:
    body = {"email": "reader@example.org", "password": PASSWORD}
    assert server.request("POST", "/api/auth/register", body).status == 201
    with open_tab(chromium, admin_url(server, with_token=False)) as page:
        expect(page.locator("#navigation")).to_be_hidden()
        page.locator("#email").fill(body["email"])
        page.locator("#password").fill(PASSWORD)
        page.locator("#sign-in-form button").click()
        expect(page.locator("#sign-in-error")).to_contain_text("requires the role admin")
        page.locator("#token").fill(server.token)
        page.locator("#token-form button").click()
        expect(page.locator("#account-name")).to_have_text("admin@localhost · administrator")
        assert server.token not in page.url
        page.locator("#sign-out").click()
        expect(page.locator("#sign-in")).to_be_visible()
        expect(page.locator("#navigation")).to_be_hidden()


def test_index_is_rebuilt_and_rolled_back(server: Server, page: Page) -> None:
    server.upload(PHOTO, "indexed")
    open_section(page, "index")
    versions = page.locator("tbody tr")
    for count in (1, 2):
        page.get_by_role("button", name="Rebuild now").click()
        expect(versions).to_have_count(count, timeout=SLOW)
    oldest = versions.last
    name = oldest.locator("code").text_content()
    oldest.get_by_role("button").click()
    page.get_by_role("button", name="Return to it").click()
    expect(versions.last.locator(".state")).to_have_text("Current, pinned")
    expect(page.locator(".notice.attention")).to_contain_text("pinned")
    state = server.request("GET", "/index_versions", None, server.admin_headers).json["data"]
    assert state["version"] == name and state["is_pinned"]
    page.get_by_role("button", name="Rebuild now").click()
    expect(page.locator(".notice.attention")).to_have_count(0)


def test_rebuild_in_the_cloud_is_followed_to_its_end(server: Server, page: Page) -> None:
    """The answers are those of a server whose index another function builds."""
    states = [{"id": "mine", "stage": stage, "requested": "2026-11-29T08:00:00Z"} for stage in ("waiting", "building")]

    def answer_state(route: Route) -> None:
        response = route.fetch()
        body = response.json()
        body["data"]["rebuild"] = states[0] if states else None
        route.fulfill(response=response, json=body)

    def answer_status(route: Route) -> None:
        states.pop(0)
        status = "processing" if states else "failed"
        route.fulfill(json={"success": True, "status": status, "error_code": None if states else "unavailable"})

    page.clock.install()
    page.route("**/index_versions", answer_state)
    page.route("**/request_status/mine", answer_status)
    open_section(page, "index")
    expect(page.locator(".notice.attention")).to_contain_text("with the next call of the schedule", timeout=SLOW)
    expect(page.get_by_role("button", name="Cancel the rebuild")).to_be_visible()
    assert violations(page) == []
    page.clock.run_for(5000)
    expect(page.locator(".notice.attention")).to_contain_text("is running")
    page.clock.run_for(5000)
    expect(page.locator(".section .notice.error")).to_contain_text("failed with the error “unavailable”")
    expect(page.locator(".notice.attention")).to_have_count(0)


def test_accounts_are_listed_with_role_and_last_sign_in(server: Server, page: Page) -> None:
    for name in ("lister", "other"):
        body = {"email": f"{name}@example.org", "password": PASSWORD}
        assert server.request("POST", "/api/auth/register", body).status == 201
    server.run("users", "grant", "lister@example.org", "admin")
    assert server.request("POST", "/api/auth/login", {**body, "email": "lister@example.org"}).status == 200
    open_section(page, "access")
    accounts = page.get_by_role("region", name="Accounts").locator("tbody tr")
    expect(accounts.filter(has_text="lister@example.org")).to_contain_text("administrator")
    expect(accounts.filter(has_text="lister@example.org")).not_to_contain_text("none known")
    expect(accounts.filter(has_text="other@example.org")).to_contain_text("none known")

    def answer_in_pages(route: Route) -> None:
        route.continue_(url=route.request.url.replace("limit=100", "limit=1"))

    page.route("**/accounts?*", answer_in_pages)
    page.reload()
    expect(accounts).to_have_count(1)
    page.get_by_role("button", name="Show more accounts").click()
    expect(accounts).to_have_count(2)
    page.unroute("**/accounts?*")
    message = "The server may not list accounts"
    refusal = {"success": False, "message": message, "error": {"code": "misconfigured", "details": {}}}
    page.route("**/accounts?*", lambda route: route.fulfill(status=500, json=refusal))
    page.reload()
    expect(page.locator(".section .notice.error")).to_contain_text(message)
    assert violations(page) == []


def test_key_is_created_shown_once_and_revoked(server: Server, page: Page) -> None:
    open_section(page, "access")
    page.locator("summary", has_text="Create a key").click()
    page.get_by_label("Name").fill("Shop page")
    page.get_by_label("Web pages that may use it").fill("https://shop.example")
    page.get_by_label("Only garments that match").fill('{"brand": "Ost", "nothing": 1}')
    page.get_by_role("button", name="Create the key").click()
    expect(page.locator(".section .notice.error")).to_contain_text("filter")
    page.get_by_label("Only garments that match").fill('{"brand": "Ost"}')
    page.get_by_role("button", name="Create the key").click()
    key = page.locator(".secret").text_content() or ""
    headers = {"Authorization": f"Bearer {key}"}
    assert server.request("GET", "/thumbnails/nothing", None, headers).status == 404
    page.reload()
    row = page.locator("tbody tr", has_text="Shop page")
    expect(row).to_contain_text('{"brand":"Ost"}')
    expect(page.locator("body")).not_to_contain_text(key)
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("button", name="Revoke it").click()
    expect(row.locator(".state")).to_contain_text("Revoked")
    assert server.request("GET", "/thumbnails/nothing", None, headers).status == 401

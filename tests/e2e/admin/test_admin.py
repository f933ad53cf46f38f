"""The page for administrators in headless Chromium, against a real server."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.conftest import jpeg
from tests.e2e.admin_page import admin_url, open_section
from tests.e2e.browser import DESKTOP, PHONE, drag_mouse, open_tab, violations
from tests.e2e.server import Server
from tests.emulators.file_server import file_server
from tests.sample_photos import sample_photo

pytestmark = pytest.mark.slow
PHOTO, OTHER_PHOTO = jpeg(sample_photo(3)), jpeg(sample_photo(8))
SECTIONS = ("figures", "add", "garments", "products", "duplicates", "ingestions", "jobs", "index", "models", "access")


def file(name: str, data: bytes) -> Any:
    """Return a file as the file dialog returns it."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": data}


def upload_row(page: Page, name: str) -> Locator:
    """Return what became of an upload."""
    return page.locator(".uploads tbody tr", has_text=name).locator(".state")


def segment(server: Server, name: str) -> Any:
    """Return a stored garment."""
    return server.request("GET", f"/splitted_images/{name}").json["data"]


def hold_claim(server: Server, name: str) -> Path:
    """Make uploads under a name wait, as if another process had been storing a photo under it. Delete it to go on."""
    claim = server.folder / ".lookalike" / "bucket" / name / "claim"
    claim.parent.mkdir(parents=True)
    claim.write_text("somebody\nelse")
    return claim


class TestUploads:
    def test_several_of_which_one_fails(self, server: Server, page: Page) -> None:
        server.upload(PHOTO, "taken")
        open_section(page, "add")
        files = [file("one (1).jpg", PHOTO), file("broken.jpg", PHOTO[:400]), file("two.jpg", OTHER_PHOTO)]
        page.locator("input[type=file]").set_input_files([*files, file("taken.jpg", OTHER_PHOTO)])
        for name in ("one-1-", "two"):
            expect(upload_row(page, name)).to_contain_text("stored")
        expect(upload_row(page, "broken")).to_have_text("The photo is corrupt")
        expect(upload_row(page, "taken")).to_contain_text("A different photo is stored as 'taken'")
        expect(page.locator(".section.add p[role=status]")).to_have_text("2 of 4 photos stored, 2 failed")
        page.get_by_role("link", name="two").click()
        expect(page.locator(".cards li").first).to_contain_text("two_segment_0")

    def test_busy_server_is_asked_again(self, page: Page) -> None:
        answers: list[Route] = []

        def answer(route: Route) -> None:
            answers.append(route)
            if len(answers) > 1:
                route.continue_()
            else:
                body = '{"success": false, "message": "busy", "error": {"code": "busy", "details": {}}}'
                headers = {"Retry-After": "1", "Content-Type": "application/json"}
                route.fulfill(status=429, headers=headers, body=body)

        page.route("**/upload_image", answer)
        open_section(page, "add")
        page.locator("input[type=file]").set_input_files([file("patient.jpg", PHOTO)])
        expect(upload_row(page, "patient")).to_have_text("The server is busy: again in 1 s")
        expect(upload_row(page, "patient")).to_contain_text("stored")
        assert len(answers) == 2

    def test_all_are_canceled_also_on_the_server(self, server: Server, page: Page) -> None:
        names = [f"waits-{number}" for number in range(4)]
        claims = [hold_claim(server, name) for name in names[:3]]
        open_section(page, "add")
        page.locator("input[type=file]").set_input_files([file(f"{name}.jpg", PHOTO) for name in names])
        expect(page.locator(".state.running")).to_have_count(3)
        page.get_by_role("button", name="Cancel all").click()
        expect(page.locator(".state.canceled")).to_have_count(4)
        for claim in claims:
            claim.unlink()
        assert all(server.request("GET", f"/splitted_images/by_original/{name}").status == 404 for name in names)
        page.get_by_role("button", name="Try failed ones again").click()
        expect(page.locator(".state.stored")).to_have_count(4)


class TestGarments:
    def test_label_and_product_details_are_changed(self, server: Server, page: Page) -> None:
        server.upload(PHOTO, "labeled")
        open_section(page, "garments")
        page.locator(".cards a", has_text="labeled_segment_0").click()
        page.get_by_label("Label").fill("scarf")
        page.get_by_role("button", name="Save the label").click()
        expect(page.locator("#announcement")).to_have_text("Changed labeled_segment_0")
        assert segment(server, "labeled_segment_0")["label"] == "scarf"
        page.get_by_label("Brand").fill("Marlow")
        page.get_by_label("Tags").fill("linen,  blue")
        page.get_by_role("button", name="Save details").click()
        expect(page.locator("#announcement")).to_contain_text("Stored the product details")
        body = {"splitted_image_id": "labeled_segment_0"}
        details = server.request("POST", "/image_detail", body).json["message"]
        assert details["brand"] == "Marlow" and details["tags"] == ["linen", "blue"] and details["size"] is None
        open_section(page, "garments")
        page.locator(".facets button", has_text="scarf").click()
        expect(page.locator(".cards li")).to_have_count(1)

    def test_box_is_dragged_and_the_garment_cut_out_again(self, server: Server, page: Page) -> None:
        server.upload(PHOTO, "moved")
        before = segment(server, "moved_segment_0")
        open_section(page, "garments", "garment", "moved_segment_0")
        submit = page.get_by_role("button", name="Cut out again")
        expect(submit).to_be_disabled()
        box = page.locator(".edited-box").bounding_box()
        assert box is not None
        corner = (box["x"] + box["width"], box["y"] + box["height"])
        drag_mouse(page, corner, (corner[0] - box["width"] / 2, corner[1] - box["height"] / 2))
        page.get_by_label("Left").fill(str(int(before["bounding_box"][0]) + 3))
        page.get_by_label("Left").press("Enter")
        old_picture = page.locator(".cut-out").get_attribute("src")
        submit.click()
        expect(page.locator("#announcement")).to_have_text("Cut out moved_segment_0 again")
        after = segment(server, "moved_segment_0")
        assert after["id"] == before["id"] and after["splitted_image_path"] != before["splitted_image_path"]
        x1, y1, x2, y2 = after["bounding_box"]
        old_x1, old_y1, old_x2, old_y2 = before["bounding_box"]
        assert x1 == int(old_x1) + 3 and y1 == pytest.approx(old_y1, abs=1)
        assert x2 - old_x1 == pytest.approx((old_x2 - old_x1) / 2, rel=0.05)
        assert y2 - old_y1 == pytest.approx((old_y2 - old_y1) / 2, rel=0.05)
        assert page.locator(".cut-out").get_attribute("src") != old_picture
        expect(page.get_by_label("Bottom")).to_have_value(str(round(y2)))

    def test_garment_is_deleted_with_a_receipt(self, server: Server, page: Page) -> None:
        server.upload(PHOTO, "deleted")
        open_section(page, "garments", "garment", "deleted_segment_0")
        control = page.get_by_role("button", name="Delete this garment")
        control.click()
        page.get_by_role("button", name="Keep it as it is").click()
        expect(control).to_be_focused()
        assert segment(server, "deleted_segment_0")["label"]
        control.click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.locator(".notice.done")).to_contain_text("Deleted: 1 garment, 1 photo, 3 files.")
        expect(page.locator(".notice.done")).to_contain_text("Receipt ")
        assert server.request("GET", "/splitted_images/deleted_segment_0").status == 404

    def test_unknown_garment_is_an_error_to_try_again(self, page: Page) -> None:
        open_section(page, "garments")
        page.get_by_label("Name or number").fill("nothing")
        page.get_by_role("button", name="Open").click()
        expect(page.locator(".section .notice.error")).to_contain_text("There is no garment 'nothing'")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_products_are_browsed_with_their_pictures(server: Server, page: Page) -> None:
    with file_server({"dress.jpg": jpeg(sample_photo(34))}) as web:
        feed = server.folder / "summer.csv"
        lines = ["id,title,price,brand,image_link,fabric", f"A-1,Linen dress,79.99 EUR,Ost,{web.url}/dress.jpg,linen"]
        feed.write_text("\n".join([*lines, f"A-2,<b>Wool</b> skirt,120 EUR,Marlow,{web.url}/missing.jpg,wool"]))
        server.settings["PICTURE_HOSTS"] = f"127.0.0.1:{web.server_port},127.0.0.0/8"
        server.run("catalog", "sync", str(feed))
    open_section(page, "products")
    cards = page.locator(".cards li")
    expect(cards).to_have_count(2)
    expect(cards.filter(has_text="<b>Wool</b> skirt")).to_contain_text("Marlow · 120.00 EUR")
    page.get_by_role("button", name="Ost (1)").click()
    expect(cards).to_have_count(1)
    cards.locator("a").click()
    expect(page.locator(".section h2")).to_have_text("Linen dress")
    expect(page.get_by_label("fabric", exact=True)).to_have_value("linen")
    assert violations(page) == []
    page.locator(".thumbnail-link").first.click()
    expect(page.get_by_role("button", name="Save the label")).to_be_visible()
    open_section(page, "products", "A-2")
    expect(page.locator("tbody .state.failed")).to_contain_text("404")


def test_product_is_edited_over_its_feed(server: Server, page: Page) -> None:
    server.upload(PHOTO, "edited")
    feed = server.folder / "edited.csv"
    # a text of two lines, which the form does not change
    feed.write_text('id,title,price,fabric,image_id,note\nE-1,Skirt,20 EUR,wool,edited_segment_0,"soft\nwarm"\n')
    server.run("catalog", "sync", str(feed))
    open_section(page, "products", "E-1")
    expect(page.get_by_label("note", exact=True)).to_have_value("softwarm")
    price, fabric = (page.get_by_role("textbox", name=name) for name in ("Price, such as", "fabric"))
    price.fill("cheap")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".section .notice.error")).to_contain_text('price: "cheap" is not a price')
    price.fill("15.50 EUR")
    fabric.fill("")
    page.get_by_label("Another column").fill("season_code")
    page.get_by_label("Its value").fill("S27")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#announcement")).to_have_text("Changed the product E-1")
    expect(page.locator("dl")).to_contain_text("fabric, price, season_code")
    feed.write_text(feed.read_text().replace("20 EUR,wool", "25 EUR,cotton"))
    server.run("catalog", "sync", str(feed))
    page.reload()
    expect(price).to_have_value("15.50 EUR")
    expect(page.locator(".field", has=price)).to_contain_text("Edited by admin@localhost")
    expect(page.locator(".field", has=fabric)).to_contain_text("The feed has “cotton”")
    assert violations(page) == []
    page.get_by_role("button", name="Use the feed’s value of Price").click()
    expect(price).to_have_value("25.00 EUR")
    assert server.request("GET", "/products?price=25&feed.season_code=S27").json["data"]["total"] == 1


def test_duplicates_are_rejected_and_merged(server: Server, page: Page) -> None:
    photo = jpeg(sample_photo(21))
    for name in ("copy-a", "copy-b", "copy-c"):
        server.upload(photo, name)
    open_section(page, "duplicates")
    pairs = page.locator(".duplicate", has_text="copy-a_segment_0").locator(".pair")
    expect(pairs).to_have_count(3)
    first, second = (pairs.filter(has_text="copy-a").filter(has_text=other) for other in ("copy-b", "copy-c"))
    first.get_by_role("button", name="Different").click()
    expect(first.locator(".state")).to_have_text("Rejected")
    second.get_by_role("button", name="Merge").click()
    page.get_by_role("button", name="Merge them").click()
    expect(page.locator("#announcement")).to_contain_text("Kept copy-")
    stored = [server.request("GET", f"/splitted_images/{name}_segment_0").status for name in ("copy-a", "copy-c")]
    assert sorted(stored) == [200, 404]
    page.get_by_label("Show").select_option("rejected")
    expect(page.locator(".pair")).to_have_count(1 if stored[0] == 200 else 0)


def test_running_job_of_another_client_is_canceled(server: Server, page: Page) -> None:
    claim = hold_claim(server, "stuck")
    open_section(page, "add")
    page.locator("input[type=file]").set_input_files([file("stuck.jpg", PHOTO)])
    open_section(page, "jobs")
    row = page.locator("tbody tr", has_text="claiming")
    row.get_by_role("button", name="Cancel").click()
    expect(page.locator(".section.jobs .empty")).to_have_text("Nothing is running.")
    claim.unlink()
    open_section(page, "add")
    expect(upload_row(page, "stuck")).to_have_text("Canceled")


def test_failed_ingestion_is_listed_with_its_reason_and_tried_again(server: Server, page: Page) -> None:
    incoming = server.folder / ".lookalike" / "bucket" / "incoming"
    incoming.mkdir(parents=True, exist_ok=True)
    (incoming / "damaged.jpg").write_bytes(PHOTO[:400])
    open_section(page, "ingestions")
    row = page.locator("tbody tr", has_text="incoming/damaged.jpg")
    for _ in range(20):
        page.get_by_role("button", name="Show").click()
        page.wait_for_timeout(500)
        if row.count():
            break
    expect(row.locator(".state.failed")).to_have_text("The photo is corrupt")
    page.get_by_role("button", name="Try all failed ones again").click()
    expect(page.locator(".notice.done")).to_contain_text("1 failed again")


def test_figures_count_the_requests_of_the_day(server: Server, page: Page) -> None:
    server.search(PHOTO)
    assert server.request("POST", "/relay_image", {"image_base64": "AAAA"}).status == 400
    open_section(page, "figures")
    tile = page.locator(".tile", has=page.get_by_text("Searches", exact=True))
    expect(tile.locator(".tile-value")).not_to_have_text("0")
    kinds = page.get_by_role("region", name="Requests by kind")
    expect(kinds.locator("tbody tr", has_text="Searches")).to_contain_text("ms")
    reasons = page.get_by_role("region", name="Failures by reason and kind")
    expect(reasons.locator("tbody tr", has_text="invalid_image").filter(has_text="Searches")).to_be_visible()
    open_section(page, "models")
    expect(page.locator("tbody tr", has_text="dinov2")).to_contain_text(
        "lookalike reembed --models full --embedder dinov2"
    )


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_sections_are_accessible(server: Server, chromium: Browser, viewport: Any, color_scheme: Any) -> None:
    server.upload(PHOTO, "seen")
    server.upload(PHOTO, "seen-again")
    with open_tab(chromium, admin_url(server), viewport=viewport, color_scheme=color_scheme) as page:
        page.locator(".section h2").wait_for()
        for section in SECTIONS:
            open_section(page, section)
            expect(page.locator("[aria-busy]")).to_have_count(0)
            for summary in page.locator("details > summary").all():
                summary.click()
            assert violations(page) == [], section
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), section
        open_section(page, "garments", "garment", "seen_segment_0")
        page.get_by_role("button", name="Delete this garment").wait_for()
        assert violations(page) == []
        page.get_by_role("button", name="Delete this garment").click()
        assert violations(page) == []
    with open_tab(chromium, admin_url(server, with_token=False), viewport=viewport, color_scheme=color_scheme) as page:
        page.locator("#sign-in").wait_for()
        assert violations(page) == []

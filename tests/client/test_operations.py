"""Every operation of the client, on the functions themselves."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from lookalike.bootstrap import Services
from lookalike.client import Client, Conflict, Example, InvalidField, NotFound, Unauthenticated, models
from lookalike.client.calls import listing, operation
from lookalike.client.operations import Operations
from lookalike.domain.model import User
from lookalike.domain.product import Money, Product
from lookalike.domain.stored_product import StoredProduct
from lookalike.local.gateway import Gateway
from lookalike.usecases.ingest import Source
from tests.conftest import FUNCTIONS_FOLDER, bearer_header, jpeg
from tests.sample_photos import sample_photo

PHOTO, OTHER_PHOTO = jpeg(sample_photo(3)), jpeg(sample_photo(8))


@pytest.fixture
def transport(real: Services) -> httpx.WSGITransport:
    return httpx.WSGITransport(app=Gateway(FUNCTIONS_FOLDER), remote_addr="203.0.113.9")


@pytest.fixture
def client(real: Services, transport: httpx.WSGITransport) -> Iterator[Client]:
    """A client of an administrator."""
    token = bearer_header(real, User("anna", "anna@example.org", "admin"))["Authorization"].split()[1]
    with Client("http://shop.example", token, transport=transport) as client:
        yield client


def test_photos_are_stored_searched_changed_and_erased(client: Client, tmp_path: Path) -> None:
    (tmp_path / "look.jpg").write_bytes(PHOTO)
    uploaded = client.upload(tmp_path / "look.jpg", name="look")
    assert uploaded is not None and client.upload(OTHER_PHOTO, name="other")
    assert client.upload(PHOTO, name="look") == uploaded, "sending it twice stores it once"
    garment = uploaded.segments[0]
    assert client.garment(garment.id) == garment and client.garments_of_photo("look") == uploaded.segments
    assert client.thumbnail(garment.splitted_image_id)[:2] in (b"\xff\xd8", b"\x89P")
    assert client.update_garment(garment.id, {"label": "dress"}).label == "dress"
    assert client.put_details("look", {"brand": "Marlow", "tags": ["linen"]}).brand == "Marlow"
    assert client.details(garment.id).tags == ["linen"]
    assert client.reindex(force=True) and client.reindex() is None
    rebuilt = client.rebuild()
    assert rebuilt.version and client.job(rebuilt.id).kind == "rebuild"

    found = client.search(PHOTO, limit=1, include="thumbnail", facets=["brand"], request_id="mine")
    assert found.results[0].original_image_id == "look" and found.results[0].thumbnail and found.search_id == "mine"
    assert [(value.value, value.count) for value in found.facets["brand"]] == [("Marlow", len(uploaded.segments))]
    assert client.choose("mine", found.results[0].id).search_id == "mine"
    assert [past.search_id for past in client.history()] == ["mine"]
    assert [one.id for one in client.get_search("mine").chosen] == [found.results[0].id]
    client.delete_search("mine")
    client.delete_history()
    assert list(client.history()) == []

    assert client.split(PHOTO).segments[0].image.startswith(b"\x89PNG")
    assert client.erase_matching({"brand": "Marlow"}, dry_run=True).counts["remaining"] == len(uploaded.segments)
    assert client.delete_garment(garment.id).splitted_image_id == garment.splitted_image_id
    assert client.erase_user("anna", dry_run=True).counts["remaining"] > 0
    assert "other_segment_0" in client.delete_photo("other").segments
    with pytest.raises(NotFound, match="not_found"):
        client.garments_of_photo("other")


def test_matches_are_read_page_by_page(client: Client) -> None:
    for number in range(5):
        client.upload(jpeg(sample_photo(number)), name=f"look{number}")
    everything = [match.id for match in client.search(PHOTO, limit=100).results]
    examples = [Example(photo=PHOTO), Example(garment="look1_segment_0", weight=-0.5)]
    assert [match.id for match in client.matches(PHOTO, page_size=2)] == everything and len(everything) > 4
    assert {match.id for match in client.matches(examples, page_size=3)} == set(everything)
    assert [match.id for match in client.matches(filter={"label": "no such label"})] == []


def test_garments_and_products_are_read_page_by_page(client: Client, real: Services) -> None:
    for number in range(3):
        client.upload(jpeg(sample_photo(number)), name=f"look{number}")
    names = [garment.name for garment in client.garments(page_size=1)]
    assert len(names) >= 3 and [one.name for one in client.garments(sort="-id")] == names[::-1]
    kind = client.garment(names[0]).label
    assert {garment.label for garment in client.garments(filter={"label": [kind]})} == {kind}
    for number in range(3):
        product = Product(f"A/{number}", title=f"Dress {number}", price=Money(Decimal("79.99"), "EUR"))
        real.browse.products.save_product(StoredProduct(product, "autumn", ()))
    assert [one.title for one in client.products(feed="autumn", page_size=2)] == ["Dress 0", "Dress 1", "Dress 2"]
    price = client.product("A/1").price
    assert price and (price.amount, price.currency) == (Decimal("79.99"), "EUR")
    edited = client.edit_product("A/1", {"price": "12.50", "size": ["S", "M"], "title": None})
    assert edited.price and edited.price.amount == Decimal("12.50") and edited.title is None
    (of_price, _, of_title) = client.product("A/1").edits
    assert isinstance(of_price.feed_value, models.Price) and of_title.feed_value == "Dress 1"
    assert len(client.edit_product("A/1", use_feed_value=["title", "price"]).edits) == 1


def test_duplicates_are_listed_decided_and_merged(client: Client) -> None:
    for name in ("one", "two"):
        client.upload(PHOTO, name=name)
    group = next(client.duplicates())
    pair = group.pairs[0].garments
    client.decide(pair, "accepted")
    assert next(client.duplicates(state="accepted")).pairs[0].decision == "accepted"
    assert client.merge(*pair).counts["garments"] == 1


def test_jobs_are_shown_and_deleted(client: Client) -> None:
    client.upload(PHOTO, name="look", request_id="mine")
    job = client.job("mine")
    assert job.status == "completed" and job.kind == "upload" and job.finished and job.finished >= job.created
    assert [one.id for one in client.recent_jobs()] == ["mine"]
    with pytest.raises(Conflict):
        client.cancel("mine")
    client.delete_jobs(max_age_seconds=0)
    assert client.recent_jobs() == []


def test_ingestions_are_listed_and_retried(client: Client, real: Services) -> None:
    for number in range(3):
        stored = real.store.put(f"incoming/{number}.jpg", b"no photo", "image/jpeg")
        real.bucket_ingest.ingest_version(Source(real.settings.bucket, stored.path, str(stored.generation)))
    listed = [one.name for one in client.ingestions(state="failed", page_size=2)]
    assert sorted(listed) == [f"incoming/{number}.jpg" for number in range(3)]
    retried = client.retry_ingestions(["incoming/0.jpg"])
    assert (retried.retried, retried.failed) == (1, 1)


def test_account_is_registered_used_and_erased(client: Client, transport: httpx.WSGITransport) -> None:
    assert client.register("eve@example.org", "correct horse").role == "user"
    session = client.login("eve@example.org", "correct horse")
    client.register("fay@example.org", "correct horse")
    first, second = client.accounts(page_size=1)
    assert (first.email, second.email, second.last_sign_in) == ("eve@example.org", "fay@example.org", None)
    assert first.last_sign_in and first.role == "user"
    session = client.refresh(session.refresh_token)
    with Client("http://shop.example", session.access_token, transport=transport) as eve:
        assert eve.user().email == "eve@example.org" and eve.export()["account"]["role"] == "user"
        assert eve.erase_account("correct horse").is_account_deleted
        with pytest.raises(Unauthenticated):
            eve.user()
    client.logout()
    assert client.user().is_admin and client.export(links=True)["photos"] == []


def test_invalid_field_is_named(client: Client) -> None:
    with pytest.raises(InvalidField) as raised:
        client.search(limit=1000)
    assert raised.value.field == "limit"


def test_every_operation_has_a_test() -> None:
    called = set(re.findall(r"\b(?:client|eve)\.(\w+)\(", Path(__file__).read_text()))
    kinds = (operation, listing)
    names = {name for base in Operations.__mro__ for name, value in vars(base).items() if isinstance(value, kinds)}
    assert len(names) > 30 and names - called == set()

"""Requests with API keys: what a key sees, and how it is refused."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from lookalike.bootstrap import Services, services
from lookalike.domain.api_keys import KeyRole, create_key_text
from lookalike.domain.model import ProductDetails, User
from lookalike.usecases.api_keys import KeyRequest
from tests.conftest import bearer_header
from tests.functions.harness import OWNED_PHOTOS, PHOTO, REMOTE, Client, encode_base64, upload_photo

POLICY = re.compile(r'"[a-z-]+";q=\d+;w=60(, "[a-z-]+";q=\d+;w=60)*')
STATE = re.compile(r'"[a-z-]+";r=\d+;t=\d+(, "[a-z-]+";r=\d+;t=\d+)*')


@pytest.fixture
def shop(client: Client, admin: dict[str, str], real: Services) -> None:
    """Three photos: "one" of the brand Ost, "two" of Marlow, and "three" without details."""
    for name, photo in OWNED_PHOTOS.items():
        assert upload_photo(client, admin, photo, image_name=name).status_code == 200
    real.segments.put_details([ProductDetails("one", brand="Ost"), ProductDetails("two", brand="Marlow")])


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def key_header(real: Services, **fields: Any) -> dict[str, str]:
    """Create a key and return the header with it."""
    return bearer(real.api_keys.create(KeyRequest(**fields))[1])


def ost_key(real: Services) -> dict[str, str]:
    return key_header(real, filter={"brand": "Ost"})


def photos_of(response: TestResponse) -> set[str]:
    """Return the photos of the garments that a search has found."""
    assert response.status_code == 200, response.get_data(as_text=True)
    return {result["original_image_id"] for result in response.get_json()["results"]}


def send_search(relay: FlaskClient, headers: dict[str, str], **fields: Any) -> TestResponse:
    return relay.post("/search", json={"include": "none", "limit": 50, **fields}, headers=headers)


@pytest.mark.usefixtures("shop")
class TestFilter:
    def test_searches_find_garments_of_the_filter_alone(self, client: Client, real: Services) -> None:
        relay, key = client("relay"), ost_key(real)
        for photo in OWNED_PHOTOS.values():
            example = {"image_base64": encode_base64(photo)}
            assert photos_of(send_search(relay, {}, query=[example])) == {"one", "two", "three"}
            assert photos_of(send_search(relay, key, query=[example])) == {"one"}
            assert photos_of(send_search(relay, key, query=[example], segment=True)) == {"one"}
            body = {**example, "num": 50, "include": "none"}
            assert photos_of(relay.post("/relay_image", json=body, headers=key)) == {"one"}

    def test_filter_of_the_request_narrows_and_never_widens(self, client: Client, real: Services) -> None:
        relay, key, query = client("relay"), ost_key(real), [{"image_base64": encode_base64(PHOTO)}]
        assert photos_of(send_search(relay, key, query=query, filter={"brand": ["Ost", "Marlow"]})) == {"one"}
        assert photos_of(send_search(relay, key, query=query, filter={"brand": "Marlow"})) == set()
        listed = send_search(relay, key, filter={"score": {"min": 0}}, facets=["brand", "label"])
        facets = listed.get_json()["facets"]
        assert photos_of(listed) == {"one"} and [value["value"] for value in facets["brand"]] == ["Ost"]
        assert sum(value["count"] for value in facets["label"]) == len(listed.get_json()["results"])

    def test_cursor_of_another_caller_is_refused(self, client: Client, real: Services) -> None:
        relay, key, query = client("relay"), ost_key(real), [{"id": "one_segment_0"}]
        cursor = send_search(relay, {}, query=query, limit=1).get_json()["next_cursor"]
        assert cursor and send_search(relay, key, query=query, limit=1, cursor=cursor).status_code == 422

    def test_other_garments_do_not_exist(self, client: Client, real: Services) -> None:
        key, detail = ost_key(real), client("detail")
        for name, status in {"one": 200, "two": 404, "three": 404, "four": 404}.items():
            row_id = getattr(real.catalog.segment(f"{name}_segment_0"), "row_id", 4711)
            for garment in (f"{name}_segment_0", row_id):
                responses = [
                    detail.get(f"/splitted_images/{garment}", headers=key),
                    detail.get(f"/thumbnails/{garment}", headers=key),
                    send_search(client("relay"), key, query=[{"id": garment}]),
                    detail.post("/image_detail", json={"splitted_image_id": garment}, headers=key),
                ]
                assert [response.status_code for response in responses] == [status] * 4
            assert detail.get(f"/splitted_images/by_original/{name}", headers=key).status_code == status

    def test_details_of_a_photo_need_a_garment(self, client: Client, real: Services) -> None:
        detail = client("detail")
        for name in ("one", "two"):
            assert detail.post("/image_detail", json={"splitted_image_id": name}).status_code == 200
            response = detail.post("/image_detail", json={"splitted_image_id": name}, headers=ost_key(real))
            assert response.status_code == 404

    def test_photo_with_garments_of_several_brands_shows_those_of_the_filter(
        self, client: Client, real: Services
    ) -> None:
        garments = real.catalog.segments_of_photo("two")
        real.segments.put_details([ProductDetails(garments[0].name, brand="Ost")])
        response = client("detail").get("/splitted_images/by_original/two", headers=ost_key(real))
        assert [garment["id"] for garment in response.get_json()["data"]] == [garments[0].row_id]

    def test_photos_in_the_bucket_cannot_be_named(self, client: Client, real: Services) -> None:
        relay = client("relay")
        query = [{"image": f"gs://{real.settings.bucket}/two/segment_0.png"}]
        assert send_search(relay, {}, query=query).status_code == 200
        assert send_search(relay, ost_key(real), query=query).status_code == 403

    def test_key_without_a_filter_sees_everything(self, client: Client, real: Services) -> None:
        query = [{"image_base64": encode_base64(PHOTO)}]
        assert photos_of(send_search(client("relay"), key_header(real), query=query)) == {"one", "two", "three"}


@pytest.mark.usefixtures("shop")
def test_key_is_enough_if_search_needs_sign_in(client: Client, real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ost_key(real)
    monkeypatch.setenv("SEARCH_NEEDS_SIGN_IN", "true")
    services.cache_clear()
    query = [{"image_base64": encode_base64(PHOTO)}]
    assert send_search(client("relay"), {}, query=query).status_code == 401
    assert photos_of(send_search(client("relay"), key, query=query)) == {"one"}
    assert client("cancel").get("/request_status/recent", headers=key).status_code == 200


def test_key_sees_its_own_jobs(client: Client, real: Services) -> None:
    key, other, cancel = ost_key(real), ost_key(real), client("cancel")
    body = {"image_base64": encode_base64(PHOTO), "request_id": "mine"}
    assert client("relay").post("/relay_image", json=body, headers=key).status_code == 200
    assert cancel.get("/request_status/mine", headers=key).status_code == 200
    assert cancel.get("/request_status/mine", headers=other).status_code == 404
    assert cancel.get("/request_status/mine").status_code == 404
    assert cancel.post("/cancel_request/mine", headers=other).status_code == 404
    assert cancel.post("/cancel_request/mine", headers=key).status_code == 409
    recent = cancel.get("/request_status/recent", headers=key).get_json()["requests"]
    assert [request["id"] for request in recent] == ["mine"]
    elsewhere = cancel.get("/request_status/recent", headers=key, environ_overrides=REMOTE).get_json()["requests"]
    assert elsewhere == cancel.get("/request_status/recent", headers=other).get_json()["requests"] == []


def test_admin_key_uploads_and_owns_what_it_stores(client: Client, real: Services) -> None:
    key, text = real.api_keys.create(KeyRequest(KeyRole.ADMIN))
    assert upload_photo(client, bearer(text), image_name="one").status_code == 200
    photo = real.catalog.photo("one")
    assert photo and photo.owner == f"key:{key.id}"
    response = client("auth").get("/api/auth/user", headers=bearer(text))
    assert response.status_code == 403 and "API keys have no account" in response.get_json()["message"]


class TestRefusal:
    def test_unknown_revoked_and_expired_keys(self, client: Client, real: Services) -> None:
        revoked, text = real.api_keys.create(KeyRequest())
        _, expired = real.api_keys.create(KeyRequest(lifetime=timedelta(microseconds=1)))
        detail = client("detail")
        assert detail.get("/thumbnails/x", headers=bearer(text)).status_code == 404
        real.api_keys.revoke(revoked.id)
        for refused in (text, expired, create_key_text(b"t" * 32), "lk_", f"{text}0"):
            response = detail.get("/thumbnails/x", headers=bearer(refused))
            assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer"
            assert refused not in response.get_data(as_text=True)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_changed_keys(self, client: Client, real: Services, data: st.DataObject) -> None:
        if not hasattr(self, "text"):
            self.text = real.api_keys.create(KeyRequest(KeyRole.ADMIN))[1]
            self.detail = client("detail")
        start = data.draw(st.integers(0, len(self.text)))
        end = data.draw(st.integers(start, len(self.text)))
        changed = self.text[:start] + data.draw(st.text("0123456789abcdefLKlk_.-", max_size=4)) + self.text[end:]
        response = self.detail.post("/erase", json={}, headers=bearer(changed), environ_overrides=REMOTE)
        # without the whole key there is no access; 422: the untouched key lacks a selection
        assert (response.status_code == 422) == (changed == self.text) and response.status_code in (401, 422)

    def test_key_in_the_query_string_or_as_basic_is_ignored(self, client: Client, real: Services) -> None:
        _, text = real.api_keys.create(KeyRequest(KeyRole.ADMIN))
        upload = client("upload")
        for path in (f"/upload_image?key={text}", f"/upload_image?access_token={text}"):
            assert upload.post(path, json={}, environ_overrides=REMOTE).status_code == 401
        assert upload.post("/upload_image", json={}, headers={"Authorization": f"Basic {text}"}).status_code == 401

    def test_pages_of_other_origins(self, client: Client, real: Services) -> None:
        key, detail = key_header(real, origins=["https://shop.example"]), client("detail")
        statuses = {
            origin: detail.get("/thumbnails/x", headers={**key, "Origin": origin}).status_code
            for origin in ("https://shop.example", "https://evil.example")
        }
        assert statuses == {"https://shop.example": 404, "https://evil.example": 403}

    def test_filter_that_this_version_does_not_know(
        self, client: Client, real: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        response = client("detail").get("/thumbnails/x", headers=key_header(real, filter={"unknown": "x"}))
        assert response.status_code == 403 and "ask the operator for a new key" in response.get_json()["message"]


class TestRateLimits:
    def test_headers_and_429_of_a_key(self, client: Client, real: Services) -> None:
        key, detail = key_header(real, requests_per_minute=3, requests_per_address=2), client("detail")
        responses = [detail.get("/thumbnails/x", headers=key) for _ in range(3)]
        assert [response.status_code for response in responses] == [404, 404, 429]
        for response, remaining in zip(responses[:2], (1, 0), strict=True):
            assert response.headers["RateLimit-Policy"] == '"key-address";q=2;w=60, "key";q=3;w=60'
            assert POLICY.fullmatch(response.headers["RateLimit-Policy"])
            assert STATE.fullmatch(response.headers["RateLimit"])
            assert response.headers["RateLimit"].startswith(f'"key-address";r={remaining};t=')
        error = responses[2]
        assert error.get_json()["error"] == {"code": "rate_limited", "details": {"policy": "key-address"}}
        assert f";r=0;t={error.headers['Retry-After']}" in error.headers["RateLimit"]
        assert 1 <= int(error.headers["Retry-After"]) <= 60
        elsewhere = [detail.get("/thumbnails/x", headers=key, environ_overrides=REMOTE) for _ in range(2)]
        assert [response.status_code for response in elsewhere] == [404, 429]
        assert elsewhere[1].get_json()["error"]["details"] == {"policy": "key"}

    def test_anonymous_addresses(self, client: Client, real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "RateLimit" not in client("detail").get("/thumbnails/x").headers
        monkeypatch.setenv("RATE_LIMIT", "2")
        services.cache_clear()
        detail, relay = client("detail"), client("relay")
        first = detail.get("/thumbnails/x")
        assert first.headers["RateLimit-Policy"] == '"address";q=2;w=60'
        # errors count, too, and have the headers
        assert relay.post("/search", json={"limit": 0}).status_code == 422
        limited = detail.get("/thumbnails/x", headers={"Origin": "http://localhost:3000"})
        assert limited.status_code == 429 and limited.get_json()["error"]["code"] == "rate_limited"
        assert "RateLimit" in limited.headers["Access-Control-Expose-Headers"]
        assert detail.get("/thumbnails/x", environ_overrides=REMOTE).status_code == 404
        user = bearer_header(services(), User("bert", "bert@example.org"))
        for headers in (user, key_header(services())):
            assert detail.get("/thumbnails/x", headers=headers).status_code == 404

    def test_health_checks_and_preflights_are_not_counted(
        self, client: Client, real: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RATE_LIMIT", "1")
        services.cache_clear()
        detail = client("detail")
        for _ in range(3):
            assert detail.get("/healthz").status_code == detail.get("/readyz").status_code == 200
            assert detail.options("/thumbnails/x").status_code == 204
            assert detail.get("/openapi.json").status_code == 200
        assert detail.get("/thumbnails/x").status_code == 404


@pytest.mark.parametrize("secret_in", ["log", "body"])
def test_keys_are_not_shown_in_logs_or_responses(
    client: Client, real: Services, caplog: pytest.LogCaptureFixture, secret_in: str
) -> None:
    _, text = real.api_keys.create(KeyRequest())
    with caplog.at_level("DEBUG"):
        response = client("relay").post("/search", json={}, headers=bearer(text))
    shown = caplog.text if secret_in == "log" else response.get_data(as_text=True)
    assert text.split("_")[2] not in shown

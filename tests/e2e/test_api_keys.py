"""API keys of a server: created, used, limited and revoked while it runs."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import jpeg
from tests.e2e.server import HttpResponse, Server, encode_base64
from tests.sample_photos import sample_photo

PHOTOS = {"one": jpeg(sample_photo(3)), "two": jpeg(sample_photo(8))}
BRANDS = {"one": "Ost", "two": "Marlow"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that requires a token or key, with two photos of two brands."""
    running = Server(tmp_path_factory.mktemp("keys"), {"SEARCH_NEEDS_SIGN_IN": "true"}).start()
    for name, photo in PHOTOS.items():
        assert running.upload(photo, name).status == 200
        running.request("PUT", f"/image_detail/{name}", {"brand": BRANDS[name]}, running.admin_headers)
    yield running
    assert running.stop() == 0


def create_key(server: Server, *options: str) -> str:
    """Run `lookalike keys create` beside the server and return the key."""
    assert server.run("keys", "create", *options).returncode == 0, server.log("keys")
    return next(line for line in server.log("keys").splitlines() if line.startswith("lk_"))


def search(server: Server, key: str, photo: str, **fields: Any) -> HttpResponse:
    body = {"query": [{"image_base64": encode_base64(PHOTOS[photo])}], "include": "none", **fields}
    return server.request("POST", "/search", body, {"Authorization": f"Bearer {key}"})


def test_key_finds_its_brand_until_it_is_revoked(server: Server) -> None:
    key = create_key(server, "--filter", '{"brand": "Ost"}', "--expires", "30d")
    for photo in PHOTOS:
        response = search(server, key, photo, facets=["brand"])
        assert {found["original_image_id"] for found in response.json["results"]} == {"one"}
        assert [value["value"] for value in response.json["facets"]["brand"]] == ["Ost"]
        widened = search(server, key, photo, filter={"brand": ["Ost", "Marlow"]})
        assert {found["original_image_id"] for found in widened.json["results"]} == {"one"}
    headers = {"Authorization": f"Bearer {key}"}
    statuses = [server.request("GET", f"/thumbnails/{name}_segment_0", headers=headers).status for name in PHOTOS]
    assert statuses == [200, 404]
    assert server.request("GET", "/thumbnails/one_segment_0").status == 401
    assert server.request("POST", "/upload_image", {}, headers).status == 403
    assert server.request("POST", "/reindex", {}, headers).status == 403
    server.run("keys", "list", "--json")
    assert '"last_used": "20' in server.log("keys")
    server.run("keys", "revoke", key.split("_")[1])
    response = search(server, key, "one")
    assert response.status == 401 and "revoked" in response.json["message"]


def test_key_has_its_own_limit(server: Server) -> None:
    key, other = create_key(server, "--per-minute", "4"), create_key(server)
    headers = {"Authorization": f"Bearer {key}"}
    responses = [server.request("GET", "/thumbnails/one_segment_0", headers=headers) for _ in range(10)]
    # a window can end in between
    limited = [response for response in responses if response.status == 429]
    assert 2 <= len(limited) <= 6 and {response.status for response in responses} == {200, 429}
    for response in limited:
        assert response.json["error"]["code"] == "rate_limited" and 1 <= int(response.headers["Retry-After"]) <= 60
        assert response.headers["RateLimit-Policy"] == '"key";q=4;w=60'
    assert search(server, other, "one").status == 200

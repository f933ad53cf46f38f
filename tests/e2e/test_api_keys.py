"""API keys of a server: created, used, limited and revoked while it runs."""

from collections.abc import Iterator

import pytest

from lookalike.client import Forbidden, NotFound, Unauthenticated
from tests.conftest import jpeg
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

PHOTOS = {"one": jpeg(sample_photo(3)), "two": jpeg(sample_photo(8))}
BRANDS = {"one": "Ost", "two": "Marlow"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that requires a token or key, with two photos of two brands."""
    running = Server(tmp_path_factory.mktemp("keys"), {"SEARCH_NEEDS_SIGN_IN": "true"}).start()
    for name, photo in PHOTOS.items():
        running.client().upload(photo, name=name)
        running.client().put_details(name, {"brand": BRANDS[name]})
    yield running
    assert running.stop() == 0


def create_key(server: Server, *options: str) -> str:
    """Run `lookalike keys create` beside the server and return the key."""
    assert server.run("keys", "create", *options).returncode == 0, server.log("keys")
    return next(line for line in server.log("keys").splitlines() if line.startswith("lk_"))


def test_key_finds_its_brand_until_it_is_revoked(server: Server) -> None:
    key = create_key(server, "--filter", '{"brand": "Ost"}', "--expires", "30d")
    shop = server.client(key)
    for photo in PHOTOS.values():
        found = shop.search(photo, facets=["brand"])
        assert {match.original_image_id for match in found.results} == {"one"}
        assert [value.value for value in found.facets["brand"]] == ["Ost"]
        widened = shop.search(photo, filter={"brand": ["Ost", "Marlow"]})
        assert {match.original_image_id for match in widened.results} == {"one"}
    assert shop.thumbnail("one_segment_0")
    with pytest.raises(NotFound):
        shop.thumbnail("two_segment_0")
    with pytest.raises(Unauthenticated):
        server.client("").thumbnail("one_segment_0")
    with pytest.raises(Forbidden):
        shop.upload(PHOTOS["one"])
    with pytest.raises(Forbidden):
        shop.reindex()
    server.run("keys", "list", "--json")
    assert '"last_used": "20' in server.log("keys")
    server.run("keys", "revoke", key.split("_")[1])
    with pytest.raises(Unauthenticated, match="revoked"):
        shop.search(PHOTOS["one"])


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
    assert server.client(other).search(PHOTOS["one"]).results

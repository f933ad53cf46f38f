"""Export and erasure of personal data over HTTP, on `lookalike serve`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.client import NotFound, Unauthenticated
from tests.conftest import jpeg
from tests.e2e.server import Server
from tests.sample_photos import sample_photo

ANNA = {"email": "anna@example.com", "password": "correct horse"}
PHOTO = jpeg(sample_photo(3))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("personal")).start()
    yield running
    assert running.stop() == 0


def test_administrator_exports_downloads_and_erases_their_photos(server: Server) -> None:
    """From the registration to an empty bucket, with the role granted by the command line."""
    anonymous = server.client("")
    anonymous.register(**ANNA)
    assert server.run("users", "grant", ANNA["email"], "admin").returncode == 0
    session = anonymous.login(**ANNA)
    anna = server.client(session.access_token)
    anna.upload(PHOTO, name="look")
    anna.search(PHOTO, request_id="mine")

    exported = anna.export(links=True)
    (photo,) = exported["photos"]
    assert exported["account"]["email"] == ANNA["email"] and exported["sessions"] == 1
    assert [past["search_id"] for past in exported["searches"]] == ["mine"]
    for url in (photo["url"], *(garment["url"] for garment in photo["garments"])):
        image = server.request("GET", url.replace("localhost", "127.0.0.1"))
        assert image.status == 200 and image.headers["Content-Type"].startswith("image/")

    with pytest.raises(Unauthenticated):
        anna.erase_account("wrong")
    assert anna.export()["photos"]
    erased = anna.erase_account(ANNA["password"])
    assert erased.is_account_deleted and erased.counts["photos"] == erased.counts["searches"] == 1
    with pytest.raises(NotFound):
        anonymous.garments_of_photo("look")
    with pytest.raises(Unauthenticated):
        list(anna.history())
    with pytest.raises(Unauthenticated):
        anonymous.login(**ANNA)
    with pytest.raises(Unauthenticated):
        anonymous.refresh(session.refresh_token)
    bucket = server.folder / ".lookalike" / "bucket"
    assert [path for path in bucket.rglob("*") if path.is_file() and "look" in str(path.relative_to(bucket))] == []


def test_operator_erases_a_user_with_the_account(server: Server) -> None:
    bert = {"email": "bert@example.com", "password": "correct horse"}
    assert server.request("POST", "/api/auth/register", bert).status == 201
    session = server.request("POST", "/api/auth/login", bert).json["data"]
    assert server.run("erase", "--owner", session["user_id"], "--account", "--yes").returncode == 0
    assert "The account is deleted" in server.log("erase")
    assert server.request("POST", "/api/auth/login", bert).status == 401
    assert server.run("erase", "--account", "--photo", "x", "--yes").returncode == 2


def test_bucket_is_the_folder_that_the_test_looks_into(server: Server) -> None:
    assert server.upload(PHOTO, "kept").status == 200
    assert Path(server.folder, ".lookalike/bucket/kept/original.jpg").exists()

"""Export and erasure of personal data over HTTP, on `lookalike serve`."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    assert server.request("POST", "/api/auth/register", ANNA).status == 201
    assert server.run("users", "grant", ANNA["email"], "admin").returncode == 0
    session = server.request("POST", "/api/auth/login", ANNA).json["data"]
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    upload = {"image_base64": base64.b64encode(PHOTO).decode(), "image_name": "look"}
    assert server.request("POST", "/upload_image", upload, headers).status == 200
    search = {"image_base64": upload["image_base64"], "include": "none", "request_id": "mine"}
    assert server.request("POST", "/relay_image", search, headers).status == 200

    exported = server.request("GET", "/me/export?links=true", None, headers).json["data"]
    (photo,) = exported["photos"]
    assert exported["account"]["email"] == ANNA["email"] and exported["sessions"] == 1
    assert [past["search_id"] for past in exported["searches"]] == ["mine"]
    for url in (photo["url"], *(garment["url"] for garment in photo["garments"])):
        image = server.request("GET", url.replace("localhost", "127.0.0.1"))
        assert image.status == 200 and image.headers["Content-Type"].startswith("image/")

    wrong = server.request("DELETE", "/me", {"password": "wrong"}, headers)
    assert wrong.status == 401 and server.request("GET", "/me/export", None, headers).json["data"]["photos"]
    erased = server.request("DELETE", "/me", {"password": ANNA["password"]}, headers).json["data"]
    assert erased["is_account_deleted"] and erased["counts"]["photos"] == erased["counts"]["searches"] == 1
    assert server.request("GET", "/splitted_images/by_original/look").status == 404
    assert server.request("GET", "/search_history", None, headers).status == 401
    assert server.request("POST", "/api/auth/login", ANNA).status == 401
    refresh = {"refresh_token": session["refresh_token"]}
    assert server.request("POST", "/api/auth/refresh", refresh).status == 401
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

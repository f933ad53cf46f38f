"""Personal data: export and erasure of everything that is kept of a user."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from lookalike.bootstrap import Services, services
from lookalike.domain.errors import Unavailable
from lookalike.domain.model import Caller, JobStatus, ProductDetails
from lookalike.domain.product import Product
from lookalike.domain.stored_product import StoredProduct
from lookalike.http import streaming
from lookalike.usecases import personal_data
from lookalike.usecases.sign_in import MAX_LOGINS_PER_ACCOUNT
from tests.emulators.auth_server import AuthServer, auth_server
from tests.functions.harness import OWNED_PHOTOS, Client, encode_base64, upload_photo

EMAIL, PASSWORD = "anna@example.com", "correct horse"
Session = dict[str, str]


@pytest.fixture(params=["local", "supabase", "supabase without service key"])
def kind(request: pytest.FixtureRequest, home: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The accounts in use."""
    kind: str = request.param
    if kind == "local":
        yield kind
        return
    with auth_server() as server:
        use_supabase(server, monkeypatch, has_service_key=kind == "supabase")
        yield kind
        services.cache_clear()


def use_supabase(server: AuthServer, monkeypatch: pytest.MonkeyPatch, has_service_key: bool) -> None:
    monkeypatch.setenv("AUTH_URL", server.url)
    monkeypatch.setenv("SUPABASE_KEY", server.PUBLIC)
    if has_service_key:
        monkeypatch.setenv("SUPABASE_SERVICE_KEY", server.SERVICE)
    services.cache_clear()


def sign_in(client: Client, email: str = EMAIL) -> Session:
    """Register an account if it does not exist, and return a session."""
    auth, body = client("auth"), {"email": email, "password": PASSWORD}
    auth.post("/api/auth/register", json=body)
    session: Session = auth.post("/api/auth/login", json=body).get_json()["data"]
    return session


def header(session: Session) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['access_token']}"}


def store_everything(client: Client, session: Session) -> None:
    """Store the photos "one" and "two" with details of "two", and a search "mine", of the user of the session."""
    user = session["user_id"]
    for name in ("one", "two"):
        with services().jobs.run_job("upload", Caller(user), f"upload-{name}") as job:
            services().upload.upload_photo(OWNED_PHOTOS[name], name, user, True, job)
    services().segments.put_details([ProductDetails("two", brand="Marlow")])
    body = {"image_base64": encode_base64(OWNED_PHOTOS["one"]), "num": 50, "request_id": "mine"}
    response = client("relay").post("/relay_image", json=body, headers=header(session))
    assert response.status_code == 200
    choice = {"search_id": "mine", "id": response.get_json()["results"][0]["id"]}
    assert client("relay").post("/feedback", json=choice, headers=header(session)).status_code == 200


def export(client: Client, session: Session, query: str = "") -> dict[str, Any]:
    response = client("auth").get(f"/me/export{query}", headers=header(session))
    assert response.status_code == 200, response.get_data(as_text=True)
    data: dict[str, Any] = response.get_json()["data"]
    return data


def erase(client: Client, session: Session, password: str = PASSWORD) -> TestResponse:
    return client("auth").delete("/me", json={"password": password}, headers=header(session))


def test_export_has_everything_that_is_kept(client: Client, kind: str) -> None:
    session, other = sign_in(client), sign_in(client, "bert@example.com")
    store_everything(client, session)
    data = export(client, session)
    assert data["account"]["id"] == session["user_id"] and data["account"]["email"] == EMAIL
    assert data["sessions"] == (1 if kind == "local" else None)
    assert [photo["name"] for photo in data["photos"]] == ["one", "two"]
    assert "details" not in data["photos"][0] and data["photos"][1]["details"]["brand"] == "Marlow"
    names = [garment["name"] for photo in data["photos"] for garment in photo["garments"]]
    stored = [services().segments.list_segments_of_photo(name) for name in ("one", "two")]
    assert names == [segment.name for segments in stored for segment in segments]
    (search,) = data["searches"]
    assert search["search_id"] == "mine" and search["request"]["num"] == 50 and len(search["hits"]) == len(names)
    assert [choice["id"] for choice in search["choices"]] == [search["hits"][0]["id"]]
    assert {job["id"] for job in data["jobs"]} == {"upload-one", "upload-two", "mine"}
    secrets = [PASSWORD, session["access_token"], session["refresh_token"], "argon2"]
    assert not [secret for secret in secrets if secret in json.dumps(data)]
    others = export(client, other)
    assert others["account"]["email"] == "bert@example.com"
    assert others["photos"] == others["searches"] == others["jobs"] == others["edits"] == []


def test_edits_of_products_are_exported_and_stay_without_their_author(client: Client, real: Services) -> None:
    session, products = sign_in(client), real.browse.products
    products.save_product(StoredProduct(Product("A"), "shop"))
    caller = Caller(session["user_id"], is_admin=True, email=EMAIL)
    real.edit_product.edit("A", {"title": ["Dress"]}, (), caller)
    (edit,) = export(client, session)["edits"]
    assert (edit["product"], edit["field"], edit["email"]) == ("A", "title", EMAIL)
    assert erase(client, session).status_code == 200
    (left,) = products.products(["A"])["A"].edits
    assert (left.value, left.editor, left.editor_name) == ("Dress", None, None)


def test_links_of_an_export_lead_to_the_images(client: Client, real: Services) -> None:
    session = sign_in(client)
    store_everything(client, session)
    assert "url" not in json.dumps(export(client, session)["photos"])
    for photo in export(client, session, "?links=true")["photos"]:
        assert f"/{photo['name']}/original.jpg?" in photo["url"]
        for garment in photo["garments"]:
            assert garment["path"] in garment["url"] and garment["thumbnail"] in garment["thumbnail_url"]


def test_large_export_is_streamed(client: Client, real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    session = sign_in(client)
    store_everything(client, session)
    whole = export(client, session)
    monkeypatch.setattr(streaming, "MAX_BUFFERED_CHARACTERS", 100)
    monkeypatch.setattr(personal_data, "PAGE_SIZE", 1)
    response = client("auth").get("/me/export", headers=header(session))
    assert "Content-Length" not in response.headers
    assert response.get_json()["data"] | {"exported_at": ""} == whole | {"exported_at": ""}


def test_export_fails_as_a_whole(client: Client, real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Unavailable("The database cannot be reached")

    session = sign_in(client)
    store_everything(client, session)
    monkeypatch.setattr(real.personal_data.history, "get_search", fail)
    response = client("auth").get("/me/export", headers=header(session))
    assert response.status_code == 503 and response.get_json()["success"] is False


def test_erased_user_leaves_nothing(client: Client, kind: str) -> None:
    session, other = sign_in(client), sign_in(client, "bert@example.com")
    store_everything(client, session)
    response = erase(client, session)
    receipt, has_key = response.get_json()["data"], kind != "supabase without service key"
    assert response.status_code == 200 and receipt["is_account_deleted"] is has_key
    assert (receipt["counts"]["photos"], receipt["counts"]["searches"], receipt["counts"]["jobs"]) == (2, 1, 3)
    assert receipt["counts"]["remaining"] == 0 and receipt["receipt_id"]
    assert [stored.path for stored in services().store.list() if not stored.path.startswith("index/")] == []
    assert services().catalog.row_ids_of_owner(session["user_id"]) == []
    assert_signed_out(client, session)
    response = client("auth").post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert response.status_code == (401 if has_key else 200)
    if not has_key:
        assert f"--owner {session['user_id']} --account" in response_message(client, other, session)
    assert export(client, other)["account"]["email"] == "bert@example.com"


def assert_signed_out(client: Client, session: Session) -> None:
    """Check that no token of the session works at any function."""
    for function, path in (("auth", "/api/auth/user"), ("relay", "/search_history"), ("auth", "/me/export")):
        response = client(function).get(path, headers=header(session))
        assert response.status_code == 401 and "erased" in response.get_json()["message"], path
    refresh = {"refresh_token": session["refresh_token"]}
    assert client("auth").post("/api/auth/refresh", json=refresh).status_code == 401


def response_message(client: Client, other: Session, session: Session) -> str:
    """Return the message of an erasure whose account the sign-in service keeps."""
    receipt = services().erase.erase_owner(other["user_id"])
    return services().personal_data.delete_account(session["user_id"], receipt).message


@pytest.mark.parametrize("body", [{}, {"password": "wrong"}, {"password": 5}, {"password": ""}])
def test_access_token_alone_erases_nothing(client: Client, real: Services, body: dict[str, Any]) -> None:
    session = sign_in(client)
    store_everything(client, session)
    response = client("auth").delete("/me", json=body, headers=header(session))
    assert response.status_code == (401 if isinstance(body.get("password"), str) else 422)
    assert len(export(client, session)["photos"]) == 2


def test_guesses_of_the_password_are_limited(client: Client, real: Services) -> None:
    session = sign_in(client)
    for number in range(MAX_LOGINS_PER_ACCOUNT):
        assert erase(client, session, f"wrong {number}").status_code == 401
    response = erase(client, session)
    assert response.status_code == 429 and response.headers["Retry-After"]


def test_token_of_the_command_line_has_no_account(client: Client, real: Services, admin: dict[str, str]) -> None:
    upload_photo(client, admin, image_name="look")
    data = client("auth").get("/me/export", headers=admin).get_json()["data"]
    assert data["account"] == {"id": "anna", "email": "anna@example.org", "role": "admin"}
    assert [photo["name"] for photo in data["photos"]] == ["look"] and data["sessions"] is None
    assert client("auth").delete("/me", json={"password": PASSWORD}, headers=admin).status_code == 401


def test_account_with_the_address_of_another_user_confirms_nothing(
    client: Client, real: Services, admin: dict[str, str]
) -> None:
    """The address of a token can belong to a newer account, whose password must not erase the data of the old one."""
    sign_in(client, "anna@example.org")
    upload_photo(client, admin, image_name="look")
    assert client("auth").delete("/me", json={"password": PASSWORD}, headers=admin).status_code == 401
    assert real.catalog.photo("look")


def test_running_jobs_are_canceled_first(client: Client, real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    session, polls = sign_in(client), list[float]()
    real.catalog.start_job("running", "search", Caller(session["user_id"]))

    def end_job(seconds: float) -> None:
        polls.append(seconds)
        assert real.catalog.cancel_requested(["running"])
        real.catalog.finish_job("running", JobStatus.CANCELLED)

    monkeypatch.setattr("lookalike.usecases.personal_data.time.sleep", end_job)
    assert erase(client, session).get_json()["data"]["counts"]["jobs"] == 1
    assert len(polls) == 1


def test_account_is_kept_while_something_remains(
    client: Client, real: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = sign_in(client)
    store_everything(client, session)
    limited = replace(real.personal_data, erasure=replace(real.erase, time_limit=-1))
    with monkeypatch.context() as patch:
        patch.setitem(real.lazy_values, "personal_data", limited)
        receipt = erase(client, session).get_json()["data"]
    assert receipt["counts"]["remaining"] > 0 and not receipt["is_account_deleted"]
    receipt = erase(client, session).get_json()["data"]
    assert receipt["counts"]["remaining"] == 0 and receipt["is_account_deleted"]


def test_erased_address_can_register_again(client: Client, real: Services) -> None:
    first = sign_in(client)
    assert erase(client, first).status_code == 200
    second = sign_in(client)
    assert second["user_id"] != first["user_id"] and export(client, second)["photos"] == []

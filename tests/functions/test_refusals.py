"""Bad input, wrong callers and other mistakes: a clear message, a stable code, the right status, nothing half-stored."""

import base64
import io
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from PIL import Image

from lookalike.bootstrap import Services
from lookalike.domain.model import User
from lookalike.http.routes import ROUTES, Role
from tests.conftest import bearer_header, jpeg
from tests.sample_photos import sample_photo

Client = Callable[[str], FlaskClient]
PHOTO = base64.b64encode(jpeg(sample_photo(3))).decode()


def giant() -> str:
    file = io.BytesIO()
    Image.new("1", (7000, 7000)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def gif() -> str:
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "GIF")
    return base64.b64encode(file.getvalue()).decode()


BAD_IMAGES = {
    "not base64": ("what? no!", 400, "invalid_image"),
    "not an image": (base64.b64encode(b"hello").decode(), 400, "invalid_image"),
    "empty": ("", 400, "invalid_image"),
    "truncated": (base64.b64encode(jpeg(sample_photo(3))[:-2000]).decode(), 400, "invalid_image"),
    "over 40 megapixels": (giant(), 413, "too_large"),
    "over 16 MB": (base64.b64encode(jpeg(sample_photo(3)) + bytes(17 * 1024**2)).decode(), 413, "too_large"),
    "another format": (gif(), 415, "unsupported_format"),
    "a number": (5, 422, "invalid_field"),
    "null": (None, 422, "invalid_field"),
}


@pytest.mark.parametrize("what", BAD_IMAGES)
@pytest.mark.parametrize("call", ["upload", "relay"])
def test_a_bad_photo_is_refused_and_nothing_is_stored(
    client: Client, admin: dict[str, str], real: Services, what: str, call: str
) -> None:
    sent, status, code = BAD_IMAGES[what]
    path = {"upload": "/upload_image", "relay": "/relay_image"}[call]
    said = client(call).post(path, json={"image_base64": sent, "image_name": "bad"}, headers=admin)
    body = said.get_json()
    assert (said.status_code, body["error"]["code"], body["success"]) == (status, code, False)
    assert body["message"] and body["request_id"]
    assert list(real.store.list()) == [] and real.catalog.photo("bad") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num", 0),
        ("num", -1),
        ("num", 10**9),
        ("num", "five"),
        ("num", 2.5),
        ("num", True),
        ("segment", "yes"),
        ("include", "everything"),
        ("min_similarity", 2),
        ("filter", "dress"),
        ("filter", "[" * 100_000),
        ("filter", ["label"]),
        ("filter", {"colour": "red"}),
        ("filter", {"vector": "1"}),
        ("filter", {"label": None}),
        ("filter", {"label": []}),
        ("filter", {"label": {"is": "dress"}}),
        ("filter", {"rating": {}}),
        ("filter", {"rating": {"min": "four"}}),
        ("filter", {"rating": {"min": 1, "between": 2}}),
        ("filter", {"brand": ["x"] * 101}),
        ("request_id", 5),
        ("request_id", "a/b"),
        ("request_id", "x" * 300),
    ],
)
def test_a_wrong_field_of_a_search_is_named(client: Client, field: str, value: Any) -> None:
    said = client("relay").post("/relay_image", json={"image_base64": PHOTO, field: value})
    assert said.status_code == 422 and said.get_json()["error"]["details"]["field"] == field


@pytest.mark.parametrize(
    "name", ["../x", "a/b", ".hidden", "", "x" * 201, "a\0b", "ä", "a b", 5, "..", "C:\\x", "index", "incoming"]
)
def test_a_name_that_could_be_a_path_is_refused(client: Client, admin: dict[str, str], name: Any) -> None:
    said = client("upload").post("/upload_image", json={"image_base64": PHOTO, "image_name": name}, headers=admin)
    if name == "":
        assert said.status_code == 200, "an empty name is none"
        return
    assert said.status_code == 422 and said.get_json()["error"]["details"]["field"] == "image_name"


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"", None, 422),
        (b"{", "application/json", 422),
        (b"[1]", "application/json", 422),
        (b"\xff\xfe", "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b"num=5", "application/x-www-form-urlencoded", 415),
        (b"hello", "text/plain", 415),
        (b"x", "multipart/form-data; boundary=y", 422),
        (b"no photo", "image/jpeg", 400),
    ],
)
def test_a_wrong_body_is_refused(client: Client, data: bytes, kind: str | None, status: int) -> None:
    said = client("relay").post("/relay_image", data=data, content_type=kind)
    assert said.status_code == status and said.get_json()["error"]["code"]


def test_a_body_over_24_megabytes_is_refused(client: Client) -> None:
    said = client("relay").post("/relay_image", data=bytes(25 * 1024**2), content_type="image/jpeg")
    assert said.status_code == 413 and said.get_json()["error"]["code"] == "too_large"


def test_a_wrong_method_names_the_right_one(client: Client) -> None:
    said = client("relay").get("/relay_image")
    assert said.status_code == 405 and said.get_json()["error"]["details"]["allowed"] == ["POST"]


def test_an_unknown_address_is_not_found(client: Client) -> None:
    said = client("relay").post("/nothing/here")
    assert said.status_code == 404 and said.get_json()["success"] is False


def test_a_live_request_id_cannot_be_used_twice(client: Client, real: Services) -> None:
    from lookalike.domain.model import Caller

    real.catalog.start_job("mine", "search", Caller())
    said = client("relay").post("/relay_image", json={"image_base64": PHOTO, "request_id": "mine"})
    assert said.status_code == 409 and said.get_json()["request_id"] == "mine"


ADMINS = [route for route in ROUTES if route.role is Role.ADMIN]


@pytest.mark.parametrize("route", ADMINS, ids=lambda route: f"{route.method} {route.path}")
def test_writing_needs_an_administrator(client: Client, real: Services, route: Any) -> None:
    path = route.path.replace("<id>", "x")
    call = client(route.function)
    assert call.open(path, method=route.method, json={}).status_code == 401
    user = bearer_header(real, User("bert", "bert@example.org"))
    assert call.open(path, method=route.method, json={}, headers=user).status_code == 403


@pytest.mark.parametrize(
    "fault", ["none", "expired", "another key", "audience", "issuer", "subject", "garbage", "Basic"]
)
def test_tokens_that_do_not_hold_are_refused(client: Client, real: Services, fault: str) -> None:
    import time

    from lookalike.bootstrap.secrets import local_secrets

    key = local_secrets(real.settings.lookalike_home).tokens
    claims: dict[str, Any] = {"iss": "lookalike-local", "aud": "authenticated", "sub": "a", "exp": time.time() + 60}
    claims["app_metadata"] = {"role": "admin"}
    kind, algorithm = "Bearer", "HS256"
    match fault:
        case "none":
            key, algorithm = "", "none"
        case "expired":
            claims["exp"] = time.time() - 5
        case "another key":
            key = "0" * 64
        case "audience":
            claims["aud"] = "others"
        case "issuer":
            claims["iss"] = "others"
        case "subject":
            del claims["sub"]
        case "Basic":
            kind = "Basic"
    token = "garbage" if fault == "garbage" else jwt.encode(claims, key, algorithm)
    headers = {"Authorization": f"{kind} {token}"}
    said = client("upload").post("/upload_image", json={"image_base64": PHOTO}, headers=headers)
    assert said.status_code == 401 and said.headers["WWW-Authenticate"] == "Bearer"
    assert token not in said.get_data(as_text=True)


def test_a_role_of_user_metadata_grants_nothing(client: Client, real: Services) -> None:
    import time

    from lookalike.bootstrap.secrets import local_secrets

    key = local_secrets(real.settings.lookalike_home).tokens
    claims = {"iss": "lookalike-local", "aud": "authenticated", "sub": "a", "exp": time.time() + 60}
    own = {"user_metadata": {"role": "admin"}, "is_admin": True, "role": "admin"}
    headers = {"Authorization": f"Bearer {jwt.encode({**claims, **own}, key, 'HS256')}"}
    assert client("upload").post("/upload_image", json={}, headers=headers).status_code == 403


def test_searching_may_need_a_sign_in(client: Client, real: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    from lookalike.bootstrap import services

    monkeypatch.setenv("SEARCH_NEEDS_SIGN_IN", "true")
    services.cache_clear()
    call = client("relay")
    assert call.post("/relay_image", json={"image_base64": PHOTO}).status_code == 401
    user = bearer_header(real, User("bert", "bert@example.org"))
    assert call.post("/relay_image", json={"image_base64": PHOTO}, headers=user).status_code == 200


def test_a_fault_of_ours_is_opaque(client: Client, real: Services) -> None:
    class Broken:
        def __getattr__(self, name: str) -> None:
            raise RuntimeError("SELECT secret FROM insides")

    real.built["items"] = Broken()
    said = client("detail").get("/splitted_images/x")
    assert said.status_code == 500 and said.get_json()["error"]["code"] == "internal"
    assert "secret" not in said.get_data(as_text=True) and said.get_json()["request_id"]

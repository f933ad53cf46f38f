"""Untrusted photos and texts: no server errors, no injection, no metadata or secrets in storage and logs."""

import io
import logging
import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image, features

from lookalike.bootstrap import Services
from lookalike.http.routes import ROUTES, Route
from tests.conftest import jpeg
from tests.functions.harness import OTHER_PHOTO, Client, encode_base64, upload_photo
from tests.sample_photos import sample_photo

ACCEPTED_FORMATS = {"JPEG", "MPO", "PNG", "WEBP", "AVIF"}
PIXEL_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
SECRET = b"taken at 48.8584 N 2.2945 E by Somebody"


def encode_image(image: Image.Image, image_format: str, **options: Any) -> bytes | None:
    """Return the encoded image, or `None` if Pillow cannot write it in that format."""
    file = io.BytesIO()
    try:
        image.save(file, image_format, **options)
    except Exception:
        # Pillow's writers raise many types of errors for modes that they do not support
        return None
    return file.getvalue()


def every_format_and_mode() -> Iterator[tuple[str, bytes]]:
    """Yield "<format> <mode>" and the data, for each combination that Pillow can write."""
    Image.init()
    for mode in PIXEL_MODES:
        # Pillow converts to I;16 only from F
        image = sample_photo(3).resize((64, 80)).convert("F" if mode == "I;16" else "RGB")
        try:
            image = image.convert(mode)
        except ValueError:
            continue
        for image_format in sorted(Image.SAVE):
            if data := encode_image(image, image_format):
                yield f"{image_format} {mode}", data


def search(relay: FlaskClient, data: bytes, content_type: str = "image/jpeg") -> tuple[int, str]:
    """Return status and error code of a search with a raw body. Its content counts, not the content type."""
    response = relay.post("/relay_image?include=none", data=data, headers={"Content-Type": content_type})
    body = response.get_json()
    return response.status_code, body.get("error", {}).get("code", "")


def test_every_image_format_is_accepted_or_rejected_as_unsupported(client: Client, real: Services) -> None:
    relay, formats = client("relay"), set()
    for name, data in every_format_and_mode():
        image_format = name.split()[0]
        status, code = search(relay, data)
        formats.add(image_format)
        expected = (
            [(200, "")] if image_format in ACCEPTED_FORMATS else [(415, "unsupported_format"), (400, "invalid_image")]
        )
        assert (status, code) in expected, (name, status, code)
    assert len(formats) > 20 and ACCEPTED_FORMATS - {"AVIF"} <= formats


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_photo_files_cause_no_server_error(client: Client, real: Services, count: int) -> None:
    generator, relay = np.random.default_rng(20_261), client("relay")
    formats = ["JPEG", "PNG", "WEBP", *(["AVIF"] if features.check("avif") else [])]
    small = sample_photo(3).resize((48, 60))
    valid = [data for image_format in formats if (data := encode_image(small, image_format))]
    for number in range(count):
        mutated = bytearray(valid[number % len(valid)])
        for _ in range(int(generator.integers(1, 6))):
            mutated[int(generator.integers(0, len(mutated)))] = int(generator.integers(0, 256))
        length = len(mutated) if number % 3 else int(generator.integers(1, len(mutated)))
        status, code = search(relay, bytes(mutated[:length]))
        assert status in (200, 400, 413, 415), (number, status, code)
        assert (status == 200) == (code == "")


def decompression_bomb() -> bytes:
    """Return a PNG of a few kilobytes with 144 megapixels."""
    data = encode_image(Image.new("1", (12_000, 12_000)), "PNG")
    assert data and len(data) < 50_000
    return data


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (decompression_bomb(), 413),
        (encode_image(Image.new("RGB", (1, 1), "red"), "PNG"), 200),
        (encode_image(Image.new("RGB", (20_000, 1), "red"), "PNG"), 200),
        (encode_image(Image.new("RGB", (1, 20_000), "red"), "JPEG"), 200),
        (
            encode_image(
                Image.new("RGB", (9, 9)), "WEBP", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")]
            ),
            200,
        ),
        (b"", 400),
        (b"\xff\xd8\xff", 400),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"GIF89a" + bytes(20), 415),
    ],
)
def test_unusual_photo_has_expected_status(client: Client, real: Services, data: bytes, status: int) -> None:
    actual, code = search(client("relay"), data, "image/png")
    assert actual == status, code


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_upload_stores_no_metadata(client: Client, real: Services, admin: dict[str, str], image_format: str) -> None:
    exif = Image.Exif()
    description, orientation = 0x010E, 0x0112
    exif[description], exif[orientation] = SECRET.decode(), 6
    comment = {"comment": SECRET} if image_format == "JPEG" else {}
    data = encode_image(sample_photo(3), image_format, exif=exif.tobytes(), **comment)
    assert data and SECRET in data
    response = client("upload").post(
        "/upload_image?image_name=look", data=data, headers={**admin, "Content-Type": "image/png"}
    )
    assert response.status_code == 200
    stored = [real.store.get(entry.path) for entry in real.store.list()]
    assert len(stored) >= 3 and not any(SECRET[:12] in content for content in stored)
    photo = real.catalog.photo("look")
    assert photo and (photo.width, photo.height) == sample_photo(3).size[::-1], "the photo must be stored upright"


INJECTIONS = [
    "'; DROP TABLE splitted_images; --",
    '" OR 1=1 --',
    "%' UNION SELECT name, sha256 FROM originals --",
    "../../../../etc/passwd",
    "..\\..\\secrets.json",
    "/etc/passwd",
    "a\0b",
    "{{7*7}}${7*7}",
    "<script>alert(1)</script>",
    "\ud800",
    "x" * 10_000,
    "-1",
    "999999999999999999999999",
    "\u202e\u0000",
]
EXISTING_PATHS = {"/image_detail/<id>": "look", "/splitted_images/<id>": "look_segment_0"}
REQUIRED_FIELDS: dict[str, dict[str, Any]] = {
    "/upload_single_image": {"original_image_id": "other", "segment_id": 3},
    "/splitted_images": {"original_image_id": "look"},
    "/erase": {"dry_run": True},
    "/api/auth/register": {"email": "anna@example.com", "password": "correct horse"},
    "/api/auth/login": {"email": "anna@example.com", "password": "correct horse"},
}
ROUTES_WITH_BODY = [route for route in ROUTES if route.request and route.method != "GET"]
ROUTES_WITH_ID = [route for route in ROUTES if "<id>" in route.path]
OBJECT_PATH_CHARACTERS = set(string.ascii_letters + string.digits + "._-/{}$*")


def values_with_text(schema: dict[str, Any], text: str) -> Iterator[Any]:
    """Yield values of a JSON schema that contain the text."""
    for option in (schema, *schema.get("anyOf", ())):
        if option.get("type") == "string":
            yield text
        elif option.get("type") == "array" and option.get("items", {}).get("type") == "string":
            yield [text]
        elif option.get("type") == "object":
            yield from ({"brand": text}, {"label": [text, "top"]}, {text: "top"})


@pytest.fixture
def stored(client: Client, real: Services, admin: dict[str, str]) -> Services:
    """Services with the photo "look" stored."""
    assert upload_photo(client, admin, image_name="look").status_code == 200
    return real


@pytest.mark.parametrize("route", ROUTES_WITH_BODY, ids=lambda route: f"{route.method} {route.path}")
def test_injection_in_body_fields_has_no_effect(
    client: Client, stored: Services, admin: dict[str, str], route: Route
) -> None:
    """Tries every field that takes text by the schema of the route's body."""
    photo = encode_base64(jpeg(sample_photo(8).resize((60, 80))))
    required, path = REQUIRED_FIELDS.get(route.path, {}), EXISTING_PATHS.get(route.path, route.path)
    before, attempts = {segment.name for segment in stored.catalog.segments_of_photo("look")}, 0
    assert route.request
    for name, schema in route.request.model_json_schema()["properties"].items():
        for injection in INJECTIONS:
            for value in values_with_text(schema, injection):
                body = {"image_base64": photo, **required, name: value}
                response = client(route.function).open(path, method=route.method, json=body, headers=admin)
                assert response.status_code < 500, (name, injection[:40], response.get_data(as_text=True)[:300])
                attempts += 1
    assert attempts >= len(INJECTIONS), "every body has a request_id"
    assert before <= {segment.name for segment in stored.catalog.segments_of_photo("look")}
    assert all(set(entry.path) <= OBJECT_PATH_CHARACTERS for entry in stored.store.list())


@pytest.mark.parametrize("route", ROUTES_WITH_ID, ids=lambda route: f"{route.method} {route.path}")
def test_injection_in_path_has_no_effect(client: Client, stored: Services, admin: dict[str, str], route: Route) -> None:
    for injection in INJECTIONS:
        if "\ud800" in injection:
            continue  # a lone surrogate cannot be encoded in a URL
        path = route.path.replace("<id>", quote(injection, safe=""))
        response = client(route.function).open(path, method=route.method, json={}, headers=admin)
        assert response.status_code < 500, (injection[:40], response.get_data(as_text=True)[:300])
    assert stored.catalog.segments_of_photo("look")


def test_logs_contain_no_secrets(
    client: Client, stored: Services, admin: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("lookalike").propagate = True
    photo = encode_base64(OTHER_PHOTO)
    for headers in (admin, {"Authorization": "Bearer not-a-token-at-all"}):
        client("relay").post("/relay_image", json={"image_base64": photo, "include": "url"}, headers=headers)
        client("relay").post("/relay_image", json={"image_base64": photo[:5000]}, headers=headers)
        client("upload").post("/upload_image", json={"image_base64": photo, "image_name": "look"}, headers=headers)
    stored.lazy_values["segments"] = None  # causes an unexpected error, whose traceback is logged
    client("detail").get("/splitted_images/x", headers=admin)
    logged = "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records)])
    assert "Unexpected error" in logged
    token = admin["Authorization"].split()[1]
    for secret in (
        token,
        "not-a-token-at-all",
        photo[:200],
        "signature=",
        stored._secrets.tokens,
        stored._secrets.index,
    ):
        assert secret not in logged

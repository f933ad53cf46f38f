"""Photos and words from strangers: no fault of ours, whatever they are, and nothing of them where it does not belong."""

import base64
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image, features

from lookalike.bootstrap import Services
from lookalike.http.routes import ROUTES, Route
from tests.conftest import jpeg
from tests.sample_photos import sample_photo

Client = Callable[[str], FlaskClient]
READ = {"JPEG", "MPO", "PNG", "WEBP", "AVIF"}
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
SECRET = b"taken at 48.8584 N 2.2945 E by Somebody"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes | None:
    """None for what Pillow cannot write so."""
    file = io.BytesIO()
    try:
        image.save(file, kind, **options)
    except Exception:
        # its writers raise whatever they like; what it does not write is not sent
        return None
    return file.getvalue()


def of_every_kind() -> Iterator[tuple[str, bytes]]:
    Image.init()
    for mode in MODES:
        picture = sample_photo(3).resize((64, 80)).convert("F" if mode == "I;16" else "RGB")
        try:
            picture = picture.convert(mode)
        except ValueError:
            continue
        for kind in sorted(Image.SAVE):
            if data := saved(picture, kind):
                yield f"{kind} {mode}", data


def search(relay: FlaskClient, data: bytes, kind: str = "image/jpeg") -> tuple[int, str]:
    """As the body itself, under whatever name: the content counts."""
    said = relay.post("/relay_image?include=none", data=data, headers={"Content-Type": kind})
    body = said.get_json()
    return said.status_code, body.get("error", {}).get("code", "")


def test_every_format_and_mode_that_can_be_written_is_read_or_refused(client: Client, real: Services) -> None:
    relay, seen = client("relay"), set()
    for name, data in of_every_kind():
        kind = name.split()[0]
        status, code = search(relay, data)
        seen.add(kind)
        wanted = [(200, "")] if kind in READ else [(415, "unsupported_format"), (400, "invalid_image")]
        assert (status, code) in wanted, (name, status, code)
    assert len(seen) > 20 and (READ - {"AVIF"} <= seen)


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_files_break_nothing(client: Client, real: Services, count: int) -> None:
    dice, relay = np.random.default_rng(20_261), client("relay")
    kinds = ["JPEG", "PNG", "WEBP", *(["AVIF"] if features.check("avif") else [])]
    good = [data for kind in kinds if (data := saved(sample_photo(3).resize((48, 60)), kind))]
    for number in range(count):
        found = bytearray(good[number % len(good)])
        for _ in range(int(dice.integers(1, 6))):
            found[int(dice.integers(0, len(found)))] = int(dice.integers(0, 256))
        cut = len(found) if number % 3 else int(dice.integers(1, len(found)))
        status, code = search(relay, bytes(found[:cut]))
        assert status in (200, 400, 413, 415), (number, status, code)
        assert (status == 200) == (code == "")


def bomb() -> bytes:
    """Some kilobytes that open as 144 megapixels."""
    found = saved(Image.new("1", (12_000, 12_000)), "PNG")
    assert found and len(found) < 50_000
    return found


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (bomb(), 413),
        (saved(Image.new("RGB", (1, 1), "red"), "PNG"), 200),
        (saved(Image.new("RGB", (20_000, 1), "red"), "PNG"), 200),
        (saved(Image.new("RGB", (1, 20_000), "red"), "JPEG"), 200),
        (saved(Image.new("RGB", (9, 9)), "WEBP", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")]), 200),
        (b"", 400),
        (b"\xff\xd8\xff", 400),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"GIF89a" + bytes(20), 415),
    ],
)
def test_odd_ones(client: Client, real: Services, data: bytes, status: int) -> None:
    said, code = search(client("relay"), data, "image/png")
    assert said == status, code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_nothing_of_the_metadata_is_stored(client: Client, real: Services, admin: dict[str, str], kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = SECRET.decode(), 6
    data = saved(sample_photo(3), kind, exif=exif.tobytes(), **({"comment": SECRET} if kind == "JPEG" else {}))
    assert data and SECRET in data
    said = client("upload").post(
        "/upload_image?image_name=look", data=data, headers={**admin, "Content-Type": "image/png"}
    )
    assert said.status_code == 200
    stored = {one.path: real.store.get(one.path) for one in real.store.list()}
    assert len(stored) >= 3 and not any(SECRET[:12] in held for held in stored.values())
    photo = real.catalog.photo("look")
    assert photo and (photo.width, photo.height) == sample_photo(3).size[::-1], "upright"


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
PARTS = {"/image_detail/<id>": "look", "/splitted_images/<id>": "look_segment_0"}
NEEDED: dict[str, dict[str, Any]] = {
    "/upload_single_image": {"original_image_id": "other", "segment_id": 3},
    "/splitted_images": {"original_image_id": "look"},
    "/erase": {"dry_run": True},
    "/api/auth/register": {"email": "anna@example.com", "password": "correct horse"},
    "/api/auth/login": {"email": "anna@example.com", "password": "correct horse"},
}
IN_THE_BODY = [one for one in ROUTES if one.request and one.method != "GET"]


def with_word(schema: dict[str, Any], word: str) -> Iterator[Any]:
    """Values of that schema that are the word, or hold it."""
    for one in (schema, *schema.get("anyOf", ())):
        if one.get("type") == "string":
            yield word
        elif one.get("type") == "array" and one.get("items", {}).get("type") == "string":
            yield [word]
        elif one.get("type") == "object":
            yield from ({"brand": word}, {"label": [word, "top"]}, {word: "top"})


@pytest.fixture
def filled(client: Client, real: Services, admin: dict[str, str]) -> Services:
    real.upload  # noqa: B018 - built before the words come
    body = {"image_base64": base64.b64encode(jpeg(sample_photo(3))).decode(), "image_name": "look"}
    assert client("upload").post("/upload_image", json=body, headers=admin).status_code == 200
    return real


@pytest.mark.parametrize("route", IN_THE_BODY, ids=lambda route: f"{route.method} {route.path}")
def test_words_in_fields_are_words(client: Client, filled: Services, admin: dict[str, str], route: Route) -> None:
    """Whichever of a body's fields take text, by its schema."""
    photo = base64.b64encode(jpeg(sample_photo(8).resize((60, 80)))).decode()
    needed, path = NEEDED.get(route.path, {}), PARTS.get(route.path, route.path)
    before, tried = {one.name for one in filled.catalog.segments_of_photo("look")}, 0
    assert route.request
    for name, schema in route.request.model_json_schema()["properties"].items():
        for word in INJECTIONS:
            for value in with_word(schema, word):
                body = {"image_base64": photo, **needed, name: value}
                said = client(route.function).open(path, method=route.method, json=body, headers=admin)
                assert said.status_code < 500, (name, word[:40], said.get_data(as_text=True)[:300])
                tried += 1
    assert tried >= len(INJECTIONS), "at least the request's own id"
    assert before <= {one.name for one in filled.catalog.segments_of_photo("look")}
    assert all(set(one.path) <= set(SAFE) for one in filled.store.list())


SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/{}$*"


@pytest.mark.parametrize(
    "route", [one for one in ROUTES if "<id>" in one.path], ids=lambda one: f"{one.method} {one.path}"
)
def test_words_in_addresses_are_words(client: Client, filled: Services, admin: dict[str, str], route: Route) -> None:
    from urllib.parse import quote

    for word in INJECTIONS:
        if "\ud800" in word:
            continue
        path = route.path.replace("<id>", quote(word, safe=""))
        said = client(route.function).open(path, method=route.method, json={}, headers=admin)
        assert said.status_code < 500, (word[:40], said.get_data(as_text=True)[:300])
    assert filled.catalog.segments_of_photo("look")


def test_no_secret_is_logged(
    client: Client, filled: Services, admin: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("lookalike").propagate = True
    photo = base64.b64encode(jpeg(sample_photo(8))).decode()
    for headers in (admin, {"Authorization": "Bearer not-a-token-at-all"}):
        client("relay").post("/relay_image", json={"image_base64": photo, "include": "url"}, headers=headers)
        client("relay").post("/relay_image", json={"image_base64": photo[:5000]}, headers=headers)
        client("upload").post("/upload_image", json={"image_base64": photo, "image_name": "look"}, headers=headers)
    filled.built["items"] = None
    client("detail").get("/splitted_images/x", headers=admin)
    logged = "\n".join([caplog.text, *(str(vars(record)) for record in caplog.records)])
    assert "Unexpected fault" in logged
    token = admin["Authorization"].split()[1]
    for secret in (
        token,
        "not-a-token-at-all",
        photo[:200],
        "signature=",
        filled._secrets.tokens,
        filled._secrets.index,
    ):
        assert secret not in logged

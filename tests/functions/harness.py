"""Requests to the functions, and photos stored for tests."""

import base64
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from lookalike.bootstrap import Services
from lookalike.domain.model import ProductDetails, User
from tests.conftest import bearer_header, jpeg
from tests.sample_photos import sample_photo

Client = Callable[[str], FlaskClient]
"""Creates a test client of the function with that name."""

PHOTO, OTHER_PHOTO = jpeg(sample_photo(3)), jpeg(sample_photo(8))
OWNED_PHOTOS = {name: jpeg(sample_photo(seed)) for name, seed in {"one": 3, "two": 8, "three": 5}.items()}
REMOTE = {"REMOTE_ADDR": "203.0.113.9"}
"""WSGI environment of a request from another machine; local requests have the role of the platform."""


def encode_base64(data: bytes) -> str:
    """Return the data as text for JSON."""
    return base64.b64encode(data).decode()


def upload_photo(client: Client, admin: dict[str, str], photo: bytes = PHOTO, **fields: Any) -> TestResponse:
    """Send a photo to `/upload_image`."""
    body = {"image_base64": encode_base64(photo), **fields}
    return client("upload").post("/upload_image", json=body, headers=admin)


def search_photo(client: Client, photo: bytes = PHOTO, **fields: Any) -> TestResponse:
    """Send a photo to `/relay_image`."""
    return client("relay").post("/relay_image", json={"image_base64": encode_base64(photo), **fields})


def store_owned_photos(client: Client, real: Services) -> None:
    """Store "one" and "two" of Anna and "three" of Bert, with an index, details of "two" and a search of Anna.

    The search has the id "mine"; the brand of "two" is Marlow.
    """
    for name, photo in OWNED_PHOTOS.items():
        owner = User("bert" if name == "three" else "anna", "x@example.org", "admin")
        assert upload_photo(client, bearer_header(real, owner), photo, image_name=name).status_code == 200
    real.segments.put_details([ProductDetails("two", brand="Marlow")])
    real.reindex.build()
    body = {"image_base64": encode_base64(OWNED_PHOTOS["one"]), "num": 50, "request_id": "mine"}
    anna = bearer_header(real, User("anna", "a@example.org"))
    assert client("relay").post("/relay_image", json=body, headers=anna).status_code == 200

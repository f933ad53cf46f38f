"""Parsing of HTTP requests: fields and photo, sent as JSON, as a form, or as the body itself."""

import io
import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

import flask
from pydantic import BaseModel, ValidationError

from lookalike import images
from lookalike.domain.errors import BadRequest, InvalidField, TooLarge, UnsupportedFormat
from lookalike.domain.model import Caller
from lookalike.http.request_schemas import PhotoRequest

B = TypeVar("B", bound=BaseModel)
MAX_BODY_BYTES = 24 * 1024 * 1024
"""A photo of 16 MB in base64 has 21.3 MB; the rest is for the other fields."""
PHOTO_FIELDS = ("image", "file", "photo")
"""Names under which a form may send the photo."""


@dataclass(frozen=True)
class ApiRequest:
    """A parsed and authorized request."""

    caller: Caller
    request_id: str
    fields: dict[str, Any]
    """Fields of the JSON body, the form or the query string."""
    photo_bytes: bytes | None
    """The photo, if it was sent as a file or as the body itself."""
    path_parameters: dict[str, str]
    is_typed: bool
    """Whether the fields have JSON's types; forms and query strings contain only text."""
    is_new_id: bool = False
    """Whether the server created the request id, so that nobody knows it yet."""
    token: str = field(default="", repr=False)
    """The access token that the caller was authenticated with."""

    @property
    def owner(self) -> str:
        """The id of the signed-in user. Only for routes that require one."""
        assert self.caller.user is not None
        return self.caller.user

    def parse_body(self, schema: type[B]) -> B:
        """Validate the fields. Raises `InvalidField` with the name of the first invalid field."""
        try:
            return schema.model_validate(self.fields, strict=self.is_typed)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
            name = ".".join(str(part) for part in problem["loc"][:1]) or "body"
            raise InvalidField(f"{name}: {problem['msg']}", field=name) from None

    def read_image(self, body: PhotoRequest) -> bytes:
        """Return the bytes of the photo. Raises `InvalidField` if none was sent."""
        if self.photo_bytes is not None:
            return self.photo_bytes
        if body.image_base64 is None:
            raise InvalidField(
                "image_base64: a photo is required, as base64, as a file, or as the body", field="image_base64"
            )
        return images.decode_base64(body.image_base64)


def limit_body_size(request: flask.Request) -> None:
    """Read the body into memory, with or without Content-Length. Raises `TooLarge` above `MAX_BODY_BYTES`."""
    if (request.content_length or 0) <= MAX_BODY_BYTES:
        data = request.stream.read(MAX_BODY_BYTES + 1)
        if len(data) <= MAX_BODY_BYTES:
            request.stream = io.BytesIO(data)
            return
    # functions-framework reads the stream to its end after the response. With an empty stream, it does not wait for the
    # rest of a body that is too large.
    request.stream = io.BytesIO()
    raise TooLarge(f"The body is larger than {MAX_BODY_BYTES // 1024**2} MB, the maximum for a request")


def read_body(request: flask.Request) -> tuple[dict[str, Any], bytes | None, bool]:
    """Return the fields, the photo if it was sent as bytes, and whether the fields have JSON's types.

    Raises `BadRequest`, `InvalidField` and `UnsupportedFormat`.
    """
    # werkzeug's default of 500 kB for form fields is too small for a photo in base64
    request.max_form_memory_size = MAX_BODY_BYTES
    content_type = request.mimetype
    if content_type == "multipart/form-data":
        return request.form.to_dict(), _read_file(request), False
    if content_type.startswith("image/") or content_type == "application/octet-stream":
        return request.args.to_dict(), request.get_data(cache=False), False
    data = request.get_data(cache=False)
    if not data:
        return request.args.to_dict(), None, False
    if content_type == "application/json" or content_type.endswith("+json"):
        return _parse_json(data), None, True
    raise UnsupportedFormat(
        "Send application/json, multipart/form-data, or the photo itself as image/jpeg, image/png or image/webp",
        content_type=content_type,
    )


def requested_job_id(request: flask.Request, fields: dict[str, Any]) -> str | None:
    """Return the `request_id` that the caller chose, if any. Raises `InvalidField` if it is not text."""
    job_id = fields.get("request_id")
    if job_id is not None and not isinstance(job_id, str):
        raise InvalidField("request_id: must be text", field="request_id")
    return job_id or request.headers.get("X-Request-Id")


def _read_file(request: flask.Request) -> bytes | None:
    for name in PHOTO_FIELDS:
        if file := request.files.get(name):
            data: bytes = file.read()
            return data
    if request.files:
        raise BadRequest(f"The form has no file named {PHOTO_FIELDS[0]!r}; send the photo under that name")
    return None


def _parse_json(data: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidField("body: not valid JSON", field="body") from error
    if not isinstance(fields, dict):
        raise InvalidField("body: must be a JSON object", field="body")
    return fields

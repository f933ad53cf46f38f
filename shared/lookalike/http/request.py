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
FORM = "multipart/form-data"
JSON_PART = "request"
"""Part of a form that contains the JSON, on routes whose JSON refers to files."""
PHOTO_FIELDS = ("image", "file", "photo")
"""Names under which a form may send the photo."""


@dataclass(frozen=True, slots=True)
class Body:
    """Content of a request's body, or of its query string."""

    fields: dict[str, Any]
    """Fields of the JSON body, the form or the query string."""
    photo: bytes | None = field(default=None, repr=False)
    """The photo, if it was sent as a file or as the body itself."""
    is_typed: bool = True
    """Whether the fields have JSON's types; forms and query strings contain only text."""
    files: dict[str, bytes] = field(default_factory=dict, repr=False)
    """Files of a form by name, on routes whose JSON refers to them."""


@dataclass(frozen=True, slots=True)
class AcceptedBody:
    """Which forms of a body a route accepts besides JSON and forms with fields."""

    has_files: bool = False
    """Whether a form has the JSON of the request in the part `request`, and files that it names."""
    can_be_photo: bool = False
    """Whether the body may be the photo itself."""
    is_optional: bool = False
    """Whether the body may be missing."""


@dataclass(frozen=True)
class ApiRequest:
    """A parsed and authorized request."""

    caller: Caller
    request_id: str
    body: Body
    path_parameters: dict[str, str]
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
            return schema.model_validate(self.body.fields, strict=self.body.is_typed)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
            name = field_path(problem["loc"]) or "body"
            raise InvalidField(f"{name}: {problem['msg']}", field=name) from None

    def read_image(self, body: PhotoRequest) -> bytes:
        """Return the bytes of the photo. Raises `InvalidField` if none was sent."""
        if self.body.photo is not None:
            return self.body.photo
        if body.image_base64 is None:
            raise InvalidField(
                "image_base64: a photo is required, as base64, as a file, or as the body", field="image_base64"
            )
        return images.decode_base64(body.image_base64)


def field_path(location: tuple[int | str, ...]) -> str:
    """Return the path of a field, such as `query[1].bounding_box`, from the location of a validation error.

    It ends at the first item that is not in a list: what follows are alternatives of the field's type.
    """
    path = str(location[0]) if location else ""
    for outer, inner in zip(location[1::2], location[2::2], strict=False):
        if not isinstance(outer, int):
            break
        path += f"[{outer}].{inner}"
    return path


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


def read_body(request: flask.Request, accepted: AcceptedBody) -> Body:
    """Parse the body. Fields are in the query string of GET requests, and beside a photo that is the body itself.

    Raises `BadRequest`, `UnsupportedFormat` and `InvalidField`, the last also if a required body is missing.
    """
    if request.method in ("GET", "HEAD"):
        return Body(_query_fields(request), None, False)
    # werkzeug's default of 500 kB for form fields is too small for a photo in base64
    request.max_form_memory_size = MAX_BODY_BYTES
    content_type = request.mimetype
    if content_type == FORM:
        return read_json_and_files(request) if accepted.has_files else _read_form(request)
    if accepted.can_be_photo and (content_type.startswith("image/") or content_type == "application/octet-stream"):
        return Body(request.args.to_dict(), request.get_data(cache=False), False)
    data = request.get_data(cache=False)
    if not data and accepted.is_optional:
        return Body({})
    if not data:
        raise InvalidField("body: is missing; send the fields as a JSON object", field="body")
    if content_type == "application/json" or content_type.endswith("+json"):
        return Body(_parse_json(data))
    raise UnsupportedFormat(
        "Send application/json, multipart/form-data, or the photo itself as image/jpeg, image/png or image/webp",
        content_type=content_type,
    )


def read_json_and_files(request: flask.Request) -> Body:
    """Read a form with the JSON of the request in one part, as text or as a file, and files in the others."""
    files = {name: file.read() for name, file in request.files.items()}
    text = files.pop(JSON_PART, None) or request.form.get(JSON_PART)
    if not text:
        raise InvalidField(f"{JSON_PART}: a form needs the JSON of the request in this part", field=JSON_PART)
    return Body(_parse_json(text), files=files)


def _query_fields(request: flask.Request) -> dict[str, Any]:
    """Return the query parameters. One that is repeated is a list, which fields with one value refuse."""
    return {name: values[0] if len(values) == 1 else values for name, values in request.args.lists()}


def requested_job_id(request: flask.Request, fields: dict[str, Any]) -> str | None:
    """Return the `request_id` that the caller chose, if any. Raises `InvalidField` if it is not text."""
    job_id = fields.get("request_id")
    if job_id is not None and not isinstance(job_id, str):
        raise InvalidField("request_id: must be text", field="request_id")
    return job_id or request.headers.get("X-Request-Id")


def _read_form(request: flask.Request) -> Body:
    body = Body(request.form.to_dict(), _read_file(request), False)
    if not body.fields and body.photo is None:
        raise InvalidField("body: the form has no fields", field="body")
    return body


def _read_file(request: flask.Request) -> bytes | None:
    for name in PHOTO_FIELDS:
        if file := request.files.get(name):
            data: bytes = file.read()
            return data
    if request.files:
        raise BadRequest(f"The form has no file named {PHOTO_FIELDS[0]!r}; send the photo under that name")
    return None


def _parse_json(data: bytes | str) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidField("body: not valid JSON", field="body") from error
    if not isinstance(fields, dict):
        raise InvalidField("body: must be a JSON object", field="body")
    return fields

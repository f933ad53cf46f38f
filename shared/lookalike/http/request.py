"""A request as the handlers see it: who asks, the fields and the photo, however they were sent."""

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
MAX_BODY = 24 * 1024 * 1024
FILES = ("image", "file", "photo")


@dataclass(frozen=True)
class ApiRequest:
    """`fields` came as JSON, as a form or in the address; `photo` as a file or as the body itself."""

    caller: Caller
    request_id: str
    fields: dict[str, Any]
    photo: bytes | None
    parts: dict[str, str]
    """What stands in the path."""
    typed: bool
    """Whether the fields have JSON's types; a form knows text alone."""
    token: str = field(default="", repr=False)
    """That the caller was recognised by."""

    @property
    def owner(self) -> str:
        """The signed-in user, behind a door that lets nobody else in."""
        assert self.caller.user is not None
        return self.caller.user

    def body(self, schema: type[B]) -> B:
        """Raises `InvalidField`, naming the first field that is wrong."""
        try:
            return schema.model_validate(self.fields, strict=self.typed)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False, include_context=False)[0]
            name = ".".join(str(part) for part in first["loc"][:1]) or "body"
            raise InvalidField(f"{name}: {first['msg']}", field=name) from None

    def image(self, body: PhotoRequest) -> bytes:
        """The photo's bytes. Raises `InvalidField` where there is none."""
        if self.photo is not None:
            return self.photo
        if body.image_base64 is None:
            raise InvalidField("image_base64: a photo is required", field="image_base64")
        return images.decode_base64(body.image_base64)


def bound(request: flask.Request) -> None:
    """Raises `TooLarge` for a body over `MAX_BODY`, announced or not: functions-framework reads to the end what we leave."""
    if (request.content_length or 0) <= MAX_BODY:
        data = request.stream.read(MAX_BODY + 1)
        if len(data) <= MAX_BODY:
            request.stream = io.BytesIO(data)
            return
    request.stream = io.BytesIO()
    raise TooLarge(f"The body is larger than {MAX_BODY // 1024**2} MB")


def read_body(request: flask.Request) -> tuple[dict[str, Any], bytes | None, bool]:
    """The fields, the photo if it was sent as such, and whether the fields are typed.

    Raises `BadRequest`, `InvalidField` and `UnsupportedFormat`.
    """
    request.max_form_memory_size = MAX_BODY
    kind = request.mimetype
    if kind == "multipart/form-data":
        return request.form.to_dict(), _file(request), False
    if kind.startswith("image/") or kind == "application/octet-stream":
        return request.args.to_dict(), request.get_data(cache=False), False
    data = request.get_data(cache=False)
    if not data:
        return request.args.to_dict(), None, False
    if kind == "application/json" or kind.endswith("+json"):
        return _json(data), None, True
    raise UnsupportedFormat(
        "Send application/json, multipart/form-data, or the photo itself as image/jpeg, image/png or image/webp",
        content_type=kind,
    )


def wanted_id(request: flask.Request, fields: dict[str, Any]) -> str | None:
    """The caller's choice of a request id. Raises `InvalidField` if it is not text."""
    wanted = fields.get("request_id")
    if wanted is not None and not isinstance(wanted, str):
        raise InvalidField("request_id: must be text", field="request_id")
    return wanted or request.headers.get("X-Request-Id")


def _file(request: flask.Request) -> bytes | None:
    for name in FILES:
        if file := request.files.get(name):
            data: bytes = file.read()
            return data
    if request.files:
        raise BadRequest(f"The photo's part must be named {FILES[0]!r}")
    return None


def _json(data: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidField("body: not valid JSON", field="body") from error
    if not isinstance(fields, dict):
        raise InvalidField("body: must be a JSON object", field="body")
    return fields

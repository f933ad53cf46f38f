"""Responses whose JSON is too large for memory, or for the host's limit on responses of known length."""

import json
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import flask

MAX_BUFFERED_CHARACTERS = 1_000_000
"""Shorter responses are completed first, so that an error becomes a proper error response."""


def stream_json(body: Mapping[str, Any]) -> flask.Response:
    """Return a JSON response. Iterators in `body` become arrays, and are consumed while the response is sent.

    An error before the first `MAX_BUFFERED_CHARACTERS` is raised. A later one cuts the connection, so that the caller
    cannot take the rest for complete.
    """
    parts, buffered, length = encode_json(body), list[str](), 0
    for part in parts:
        buffered.append(part)
        length += len(part)
        if length > MAX_BUFFERED_CHARACTERS:
            return flask.Response(chain(buffered, parts), mimetype="application/json")
    return flask.Response("".join(buffered), mimetype="application/json")


def encode_json(value: Any) -> Iterator[str]:
    """Yield the JSON text of a value in parts. Iterators become arrays."""
    if isinstance(value, Mapping):
        yield "{"
        for number, (name, item) in enumerate(value.items()):
            yield f"{', ' if number else ''}{json.dumps(name)}: "
            yield from encode_json(item)
        yield "}"
    elif isinstance(value, Iterator):
        yield "["
        for number, item in enumerate(value):
            yield f"{', ' if number else ''}{json.dumps(item)}"
        yield "]"
    else:
        yield json.dumps(value)

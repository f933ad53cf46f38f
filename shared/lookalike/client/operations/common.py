"""Shared parts of operations: options of jobs, and functions that read responses."""

import json
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import TypeAdapter

from lookalike.client.calls import JobOptions, OnProgress, Page

T = TypeVar("T")


def job_options(request_id: str | None = None, on_progress: OnProgress | None = None) -> JobOptions:
    """Return the options of a job, whose id must be known before it runs."""
    return JobOptions(request_id or str(uuid4()), on_progress)


def whole(kind: type[T]) -> Callable[[bytes], T]:
    """Return a function that reads the whole response as a model."""
    return TypeAdapter(kind).validate_json


def data(kind: type[T], name: str = "data") -> Callable[[bytes], T]:
    """Return a function that reads one field of the response."""
    adapter = TypeAdapter(kind)
    return lambda body: adapter.validate_python(json.loads(body)[name])


def page(kind: type[T], items: str = "data", cursor: str = "cursor") -> Callable[[bytes], Page[T]]:
    """Return a function that reads a page. `items` may be a path of two names, such as `data.garments`."""
    adapter = TypeAdapter(list[kind])  # type: ignore[valid-type]

    def read(body: bytes) -> Page[T]:
        fields = json.loads(body)
        return Page(adapter.validate_python(_find(fields, items)), _find(fields, cursor))

    return read


def nothing(_: bytes) -> None:
    """Ignore a confirmation."""


def _find(fields: Any, path: str) -> Any:
    for name in path.split("."):
        fields = fields[name]
    return fields

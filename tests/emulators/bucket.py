"""What a bucket of Cloud Storage does, in memory: generations, preconditions and checksums as the JSON API documents them."""

import base64
import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import google_crc32c

Resource = dict[str, Any]
OWN = ("contentType", "cacheControl", "metadata")
"""What the writer says of an object and gets back with it."""


class Refusal(Exception):
    """An answer that is not the one asked for."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True)
class Conditions:
    """Of a request's query: `generation` picks one, the others ask what the object's present one is."""

    generation: int | None = None
    match: int | None = None
    not_match: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Conditions":
        names = ("generation", "ifGenerationMatch", "ifGenerationNotMatch")
        return cls(*(int(query[name]) if name in query else None for name in names))

    def check(self, current: int, unchanged: int) -> None:
        """Raises `Refusal` 412, or `unchanged` where the generation is the one that the asker has already."""
        if self.match is not None and self.match != current:
            raise Refusal(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        if self.not_match is not None and self.not_match == current:
            raise Refusal(
                unchanged, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."
            )


@dataclass(frozen=True)
class Held:
    name: str
    data: bytes
    generation: int
    written: Resource
    composed: bool = False
    """Made of other objects, and without md5."""

    @property
    def crc32c(self) -> str:
        return base64.b64encode(google_crc32c.value(self.data).to_bytes(4, "big")).decode()

    @property
    def md5(self) -> str:
        return base64.b64encode(hashlib.md5(self.data, usedforsecurity=False).digest()).decode()

    @property
    def content_type(self) -> str:
        return str(self.written.get("contentType", "application/octet-stream"))

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": self.content_type,
            "Cache-Control": str(self.written.get("cacheControl", "private, max-age=0")),
            "X-Goog-Hash": f"crc32c={self.crc32c}" + f",md5={self.md5}" * (not self.composed),
            "X-Goog-Generation": str(self.generation),
            "X-Goog-Metageneration": "1",
            "X-Goog-Stored-Content-Length": str(len(self.data)),
            "X-Goog-Stored-Content-Encoding": "identity",
        }

    def resource(self, bucket: str) -> Resource:
        moment = datetime.fromtimestamp(self.generation / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "kind": "storage#object",
            "id": f"{bucket}/{self.name}/{self.generation}",
            "name": self.name,
            "bucket": bucket,
            "generation": str(self.generation),
            "metageneration": "1",
            "size": str(len(self.data)),
            "crc32c": self.crc32c,
            **({} if self.composed else {"md5Hash": self.md5}),
            "timeCreated": moment,
            "updated": moment,
            **{key: self.written[key] for key in OWN if key in self.written},
        }


class Bucket:
    """For many threads."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.objects: dict[str, Held] = {}
        self._lock = threading.Lock()
        self._last = 0

    def check(self, name: str, conditions: Conditions) -> None:
        """Raises `Refusal` where a write would not be let."""
        there = self.objects.get(name)
        conditions.check(there.generation if there else 0, unchanged=412)

    def write(self, resource: Resource, data: bytes, conditions: Conditions) -> Held:
        with self._lock:
            self.check(resource["name"], conditions)
            self._last = max(self._last + 1, time.time_ns() // 1000)
            held = Held(resource["name"], data, self._last, resource)
            _verify(held, resource.get("crc32c"), held.crc32c, "CRC32C")
            _verify(held, resource.get("md5Hash"), held.md5, "MD5")
            self.objects[held.name] = held
            return held

    def compose(self, name: str, data: bytes) -> None:
        self.objects[name] = replace(self.write({"name": name}, data, Conditions()), composed=True)

    def read(self, name: str, conditions: Conditions) -> Held:
        held = self._present(name, conditions)
        conditions.check(held.generation, unchanged=304)
        return held

    def delete(self, name: str, conditions: Conditions) -> None:
        with self._lock:
            conditions.check(self._present(name, conditions).generation, unchanged=412)
            del self.objects[name]

    def names(self, prefix: str, after: str) -> list[str]:
        """In the order of their UTF-8."""
        found = [name for name in list(self.objects) if name.startswith(prefix) and name.encode() > after.encode()]
        return sorted(found, key=str.encode)

    def _present(self, name: str, conditions: Conditions) -> Held:
        held = self.objects.get(name)
        if held is None or conditions.generation not in (None, held.generation):
            raise Refusal(404, "notFound", f"No such object: {self.name}/{name}")
        return held


def _verify(held: Held, told: str | None, found: str, kind: str) -> None:
    if told not in (None, found):
        raise Refusal(
            400, "invalid", f'Provided {kind} "{told}" doesn\'t match calculated {kind} "{found}" of {held.name}.'
        )

"""In-memory Cloud Storage bucket, with generations, preconditions and checksums according to the JSON API documentation."""

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
WRITABLE_FIELDS = ("contentType", "cacheControl", "metadata")
"""Fields of an object resource that a writer can set."""


class ApiError(Exception):
    """An error response with its status, reason and message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True)
class Preconditions:
    """Conditions on the generation in a query. `generation` selects one; the others compare the current one."""

    generation: int | None = None
    match: int | None = None
    not_match: int | None = None

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Preconditions":
        """Parse the query of a request."""
        names = ("generation", "ifGenerationMatch", "ifGenerationNotMatch")
        return cls(*(int(query[name]) if name in query else None for name in names))

    def check(self, current: int, unchanged: int) -> None:
        """Raise `ApiError` 412 if `match` fails, or with the status `unchanged` if `not_match` fails."""
        if self.match is not None and self.match != current:
            raise ApiError(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
        if self.not_match is not None and self.not_match == current:
            raise ApiError(
                unchanged, "conditionNotMet", "At least one of the pre-conditions you specified did not hold."
            )


@dataclass(frozen=True)
class StoredVersion:
    """One generation of an object. `resource` holds the fields sent by the writer."""

    name: str
    data: bytes
    generation: int
    resource: Resource
    is_composed: bool = False
    """Whether the object was composed of others. Then it has no MD5."""

    @property
    def crc32c(self) -> str:
        """CRC32C in base64."""
        return base64.b64encode(google_crc32c.value(self.data).to_bytes(4, "big")).decode()

    @property
    def md5(self) -> str:
        """MD5 in base64."""
        return base64.b64encode(hashlib.md5(self.data, usedforsecurity=False).digest()).decode()

    @property
    def content_type(self) -> str:
        """The content type given by the writer."""
        return str(self.resource.get("contentType", "application/octet-stream"))

    @property
    def headers(self) -> dict[str, str]:
        """Headers of a download."""
        return {
            "Content-Type": self.content_type,
            "Cache-Control": str(self.resource.get("cacheControl", "private, max-age=0")),
            "X-Goog-Hash": f"crc32c={self.crc32c}" + f",md5={self.md5}" * (not self.is_composed),
            "X-Goog-Generation": str(self.generation),
            "X-Goog-Metageneration": "1",
            "X-Goog-Stored-Content-Length": str(len(self.data)),
            "X-Goog-Stored-Content-Encoding": "identity",
        }

    def to_json(self, bucket: str) -> Resource:
        """Return the object resource of the API."""
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
            **({} if self.is_composed else {"md5Hash": self.md5}),
            "timeCreated": moment,
            "updated": moment,
            **{key: self.resource[key] for key in WRITABLE_FIELDS if key in self.resource},
        }


class Bucket:
    """Thread-safe bucket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.objects: dict[str, StoredVersion] = {}
        self._lock = threading.Lock()
        self._last_generation = 0

    def check_preconditions(self, name: str, conditions: Preconditions) -> None:
        """Raise `ApiError` if a write with these conditions would fail."""
        existing = self.objects.get(name)
        conditions.check(existing.generation if existing else 0, unchanged=412)

    def write(self, resource: Resource, data: bytes, conditions: Preconditions) -> StoredVersion:
        """Store an object. Raises `ApiError` for failed conditions or wrong checksums."""
        with self._lock:
            self.check_preconditions(resource["name"], conditions)
            self._last_generation = max(self._last_generation + 1, time.time_ns() // 1000)
            version = StoredVersion(resource["name"], data, self._last_generation, resource)
            _verify_checksum(version, resource.get("crc32c"), version.crc32c, "CRC32C")
            _verify_checksum(version, resource.get("md5Hash"), version.md5, "MD5")
            self.objects[version.name] = version
            return version

    def compose(self, name: str, data: bytes) -> None:
        """Store an object as if it was composed of others."""
        self.objects[name] = replace(self.write({"name": name}, data, Preconditions()), is_composed=True)

    def read(self, name: str, conditions: Preconditions) -> StoredVersion:
        """Return an object. Raises `ApiError`."""
        version = self._find(name, conditions)
        conditions.check(version.generation, unchanged=304)
        return version

    def delete(self, name: str, conditions: Preconditions) -> None:
        """Delete an object. Raises `ApiError`."""
        with self._lock:
            conditions.check(self._find(name, conditions).generation, unchanged=412)
            del self.objects[name]

    def names(self, prefix: str, after: str) -> list[str]:
        """Return the names with a prefix that sort after `after`, in the order of their UTF-8 bytes."""
        matching = [name for name in list(self.objects) if name.startswith(prefix) and name.encode() > after.encode()]
        return sorted(matching, key=str.encode)

    def _find(self, name: str, conditions: Preconditions) -> StoredVersion:
        version = self.objects.get(name)
        if version is None or conditions.generation not in (None, version.generation):
            raise ApiError(404, "notFound", f"No such object: {self.name}/{name}")
        return version


def _verify_checksum(version: StoredVersion, provided: str | None, actual: str, kind: str) -> None:
    if provided not in (None, actual):
        message = f'Provided {kind} "{provided}" doesn\'t match calculated {kind} "{actual}" of {version.name}.'
        raise ApiError(400, "invalid", message)

"""Objects of index versions: paths, parts with checksums, signed manifests."""

import hashlib
import hmac
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import numpy as np

from lookalike.domain.errors import LookalikeError, NotFound, Untrusted
from lookalike.domain.model import Manifest
from lookalike.domain.paths import INDEX_PREFIX
from lookalike.domain.ports import ObjectStore
from lookalike.domain.signed_json import sign_json, verify_json

log = logging.getLogger("lookalike.index")
MANIFEST_NAME = "manifest.json"
JSON, BINARY = "application/json", "application/octet-stream"


class VersionStorage:
    """Reads and writes the objects of one embedder's versions. `key` signs manifests and the pointer."""

    def __init__(self, store: ObjectStore, embedder: str, key: bytes) -> None:
        self.store, self.embedder, self.key = store, embedder, key
        self.folder = f"{INDEX_PREFIX}{embedder}/"

    def path(self, version: str, name: str) -> str:
        """Return the path of a version's part or manifest."""
        return f"{self.folder}{version}/{name}"

    def version_names(self) -> Sequence[str]:
        """Return the names of all versions, oldest first, including incomplete ones."""
        paths = (stored.path.removeprefix(self.folder).split("/") for stored in self.store.list(self.folder))
        return sorted({segments[0] for segments in paths if len(segments) == 2})

    def has_manifest(self, version: str) -> bool:
        """Return whether the version was written completely."""
        return self.store.stat(self.path(version, MANIFEST_NAME)) is not None

    def read_manifest(self, version: str) -> Manifest:
        """Return the manifest after checking its signature. Raises `Untrusted`, `NotFound`."""
        description = f"The manifest of index version {version}"
        content = verify_json(self.store.get(self.path(version, MANIFEST_NAME)), self.key, description)
        try:
            manifest = Manifest(**content)
        except TypeError as error:
            raise Untrusted(f"{description} has unknown or missing fields") from error
        if manifest.version != version:
            raise Untrusted(f"{description} belongs to version {manifest.version}")
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Sign and store the manifest. Write it last: a version without a manifest is incomplete."""
        data = sign_json(asdict(manifest), self.key)
        self.store.put(self.path(manifest.version, MANIFEST_NAME), data, JSON)

    def list_manifests(self) -> Sequence[Manifest]:
        """Return the manifests with a valid signature, oldest first. Logs the invalid ones."""
        manifests = []
        for version in self.version_names():
            try:
                manifests.append(self.read_manifest(version))
            except NotFound:
                # The version is still being written, or was just deleted.
                continue
            except Untrusted as error:
                log.warning("Skipping an invalid index version: %s", error)
        return manifests

    def read_part(self, manifest: Manifest, name: str) -> bytes:
        """Return a small part. Raises `Untrusted` if its checksum is wrong."""
        path = self.path(manifest.version, name)
        data = self.store.get(path)
        _require_checksum(hashlib.sha256(data), manifest.parts[name], path)
        return data

    def stream_part(self, manifest: Manifest, name: str) -> Iterator[bytes]:
        """Yield a part in chunks. Raises `Untrusted` only after the last chunk if the checksum is wrong."""
        path, digest = self.path(manifest.version, name), hashlib.sha256()
        for chunk in self.store.read(path):
            digest.update(chunk)
            yield chunk
        _require_checksum(digest, manifest.parts[name], path)

    def read_large_part(self, manifest: Manifest, name: str) -> memoryview:
        """Return a part of any size. Holds it in memory once and checks it while it arrives. Raises `Untrusted`."""
        stored = self.store.stat(self.path(manifest.version, name))
        # Allocated once: joining chunks would hold the part twice.
        data, filled = np.empty(stored.size if stored else 0, np.uint8), 0
        for chunk in self.stream_part(manifest, name):
            end = filled + len(chunk)
            if end > len(data):
                raise Untrusted(f"{name} of index version {manifest.version} is longer than its stored size")
            data[filled:end] = np.frombuffer(chunk, np.uint8)
            filled = end
        return data.data

    def write_part(self, version: str, name: str, chunks: Iterable[bytes]) -> str:
        """Store a part from a stream and return its SHA-256 in hexadecimal."""
        digest = hashlib.sha256()

        def digested() -> Iterator[bytes]:
            for chunk in chunks:
                digest.update(chunk)
                yield chunk

        self.store.write(self.path(version, name), digested(), JSON if name.endswith(".json") else BINARY)
        return digest.hexdigest()

    def remove(self, version: str) -> None:
        """Delete all objects of a version."""
        # Listed completely first: deleting during a paginated listing could skip objects.
        for stored in [*self.store.list(self.path(version, ""))]:
            self.store.delete(stored.path)

    def discard_unpublished(self, version: str) -> None:
        """Delete a version that never became current. Logs store errors; `prune` deletes what remains."""
        try:
            self.remove(version)
        except LookalikeError:
            log.warning("Could not delete the unpublished index version %s", version, exc_info=True)


def _require_checksum(digest: "hashlib._Hash", expected: str, path: str) -> None:
    if not hmac.compare_digest(digest.hexdigest(), expected):
        raise Untrusted(f"{path} does not match its checksum")

"""Pointer to the current index version: one signed object, replaced by compare-and-swap."""

import logging
from dataclasses import dataclass

from lookalike.domain.errors import Conflict, Untrusted
from lookalike.domain.model import Manifest
from lookalike.domain.signed_json import sign_json, verify_json
from lookalike.usecases.index_versions.storage import JSON, VersionStorage

log = logging.getLogger("lookalike.index")
POINTER_NAME = "current.json"
CONFLICT_MESSAGE = "Another index version was published in the meantime: try again"


@dataclass(frozen=True, slots=True)
class PointerState:
    """Content of the pointer: the current version, and the commit up to which it has all rows."""

    version: str
    commit: int
    generation: int
    """Generation of the pointer object, which changes with every write."""
    pinned: bool = False
    """Whether an operator chose this version. Scheduled builds do not replace a pinned version."""


class Pointer:
    """Reads and replaces the pointer of one embedder."""

    def __init__(self, storage: VersionStorage) -> None:
        self._storage = storage
        self.path = f"{storage.folder}{POINTER_NAME}"

    def generation(self) -> int:
        """Return the generation of the pointer object without checking its content; 0 if there is none."""
        stored = self._storage.store.stat(self.path)
        return stored.generation if stored else 0

    def current(self, known: PointerState | None = None) -> PointerState | None:
        """Return the pointer's content, or `None` before the first version.

        Returns `known` after one metadata request if the pointer has not changed. Raises `Untrusted` for an invalid
        signature.
        """
        generation = self.generation()
        if not generation:
            return None
        if known and known.generation == generation:
            return known
        return self._read(generation)

    def replaceable_generation(self, commit: int, expected_generation: int | None) -> int:
        """Return the generation of the pointer that a version of this commit may replace.

        Raises `Conflict` if the pointer is not of `expected_generation`, or if its version has later commits.
        """
        generation = self.generation()
        if expected_generation not in (None, generation):
            raise Conflict(CONFLICT_MESSAGE)
        try:
            current = self._read(generation) if generation else None
        except Untrusted as error:
            # Publishing is the way to repair a damaged pointer, so it must not fail here.
            log.warning("Replacing the invalid pointer to the index version: %s", error)
            return generation
        if current and current.commit > commit:
            text = f"Index version {current.version} is newer than the catalog: commit {current.commit}, not {commit}"
            raise Conflict(f"{text}. If the catalog was restored from a backup, run `lookalike doctor --repair`")
        return generation

    def replace(self, manifest: Manifest, generation: int, pinned: bool = False) -> None:
        """Make the version current if the pointer still has this generation. Raises `Conflict` otherwise."""
        content = {"version": manifest.version, "commit": manifest.commit, "pinned": pinned}
        data = sign_json(content, self._storage.key)
        try:
            self._storage.store.put(self.path, data, JSON, generation)
        except Conflict:
            # A write that is retried because its response was lost conflicts with itself.
            if self._storage.store.get(self.path) != data:
                raise Conflict(CONFLICT_MESSAGE) from None

    def _read(self, generation: int) -> PointerState:
        description = "The pointer to the index version"
        content = verify_json(self._storage.store.get(self.path), self._storage.key, description)
        try:
            return PointerState(**content, generation=generation)
        except TypeError as error:
            raise Untrusted(f"{description} has unknown or missing fields") from error

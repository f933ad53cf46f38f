"""Claims on the names of photos: of the processes that store a photo under one name, one does so at a time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import DeadlineExceeded
from lookalike.domain.ports import Catalog, ObjectStore
from lookalike.usecases.claims import Claims

RETRY_SECONDS = 0.1
"""Interval at which a process checks whether the claim of another one has ended."""


class ClaimTimeout(DeadlineExceeded):
    """Another upload had the claim on the name until the time limit of this one."""


@dataclass(frozen=True, slots=True)
class NameClaims:
    """Claims on names of photos, as objects `<name>/claim`."""

    claims: Claims
    store: ObjectStore
    catalog: Catalog

    @contextmanager
    def hold(
        self, name: str, cancel: CancelToken, may_exist: bool = False, deletes_orphans: bool = True
    ) -> Iterator[bool]:
        """Hold the claim on a name inside the context. Yields whether the caller may store something under it.

        Yields false, without a claim, if a photo of that name is stored, unless it `may_exist`. Waits for the claims of
        other processes, and raises `Cancelled` or `ClaimTimeout` meanwhile. Deletes what an interrupted upload left
        under a free name, unless `deletes_orphans` is false.
        """
        path = f"{name}/claim"
        while True:
            if not may_exist and self._exists(name):
                yield False
                return
            if claim := self.claims.take(path):
                break
            _check_while_claimed(cancel, name)
            time.sleep(RETRY_SECONDS)
        try:
            # Check again: a previous holder of the claim adds its rows before it gives up the claim.
            exists = self._exists(name)
            if not exists and deletes_orphans:
                delete_orphans(self.store, self.catalog, f"{name}/", keep=path)
            yield may_exist or not exists
        finally:
            self.claims.release(claim)

    def _exists(self, name: str) -> bool:
        # Not by the photo's row: rows of the original system can belong to a photo without one. A photo without
        # segments does not exist.
        return bool(self.catalog.segments_of_photo(name))


def delete_orphans(store: ObjectStore, catalog: Catalog, prefix: str, keep: str = "") -> None:
    """Delete objects without a row, which an interrupted upload left behind.

    Otherwise this process could mistake them for its own, and the sweep could delete one that gets a row just now.
    """
    paths = [stored.path for stored in store.list(prefix)]
    for path in set(paths) - catalog.referenced_paths(paths) - {keep}:
        store.delete(path)


def _check_while_claimed(cancel: CancelToken, name: str) -> None:
    """Raise `Cancelled`, or `ClaimTimeout` at the deadline."""
    try:
        cancel.check()
    except DeadlineExceeded as error:
        message = f"Another upload of {name!r} is running or was interrupted; nothing was stored. Try again in a minute"
        raise ClaimTimeout(message) from error

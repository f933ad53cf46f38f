"""Claims: objects in the store by which processes exclude each other, also on different machines."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from lookalike.domain.errors import Conflict, LookalikeError, NotFound
from lookalike.domain.model import StoredObject
from lookalike.domain.ports import ObjectStore

log = logging.getLogger("lookalike.claims")


@dataclass(frozen=True, slots=True)
class Claims:
    """Takes and releases claims.

    A claim contains the `holder`, an identifier of the process. It is abandoned if it is older than `timeout`, or if
    `is_holder_gone` returns true for its holder.
    """

    store: ObjectStore
    timeout: timedelta
    holder: str = ""
    is_holder_gone: Callable[[str], bool] = lambda holder: False

    def new_content(self) -> bytes:
        """Return the content of a claim. It is unique: creating an object that exists with the same bytes succeeds."""
        return f"{self.holder}\n{uuid4().hex}".encode()

    def take(self, path: str, content: bytes | None = None) -> StoredObject | None:
        """Return a new claim, or `None` if somebody else has it."""
        existing = self.store.stat(path)
        if existing and not self._is_abandoned(existing):
            return None
        try:
            # Only one process takes over an abandoned claim, because of its generation. After a power failure, nobody
            # holds the claim any more. One without content is abandoned after a while.
            generation = existing.generation if existing else 0
            return self.store.put_temporary(path, content or self.new_content(), "text/plain", generation)
        except Conflict:
            return None

    def release(self, claim: StoredObject) -> None:
        """Delete a claim, unless somebody has taken it over."""
        delete_written(self.store, claim)

    def _is_abandoned(self, claim: StoredObject) -> bool:
        if claim.updated < datetime.now(UTC) - self.timeout:
            return True
        try:
            return self.is_holder_gone(self.store.get(claim.path).decode().split("\n")[0])
        except NotFound:
            return False


def delete_written(store: ObjectStore, stored: StoredObject) -> None:
    """Delete an object that this process has written, and log instead of raising if that fails."""
    try:
        store.delete(stored.path, stored.generation)
    except LookalikeError:
        # Overwritten by another process, or the store is unavailable. The sweep deletes what stays without a row.
        log.warning(
            "An object could not be deleted and is left to the sweep", exc_info=True, extra={"path": stored.path}
        )

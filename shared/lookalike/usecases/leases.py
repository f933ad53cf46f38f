"""Leases: claims on long work, which are renewed while it runs, so that at most one process does it at a time."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Cancelled, Conflict, LookalikeError
from lookalike.domain.model import StoredObject
from lookalike.domain.paths import LEASE_PREFIX
from lookalike.usecases.claims import Claims

log = logging.getLogger("lookalike.leases")
LEASE_SECONDS = 120
"""Time without renewal after which another process takes over. On the same machine, it does so at once after a crash."""
RENEWALS = 4
"""Attempts at a renewal in `LEASE_SECONDS`."""


@dataclass(frozen=True, slots=True)
class Leases:
    """Excludes processes from doing the same work at the same time. Survives crashes of any of them."""

    claims: Claims

    @contextmanager
    def hold(self, work: str, busy: str, cancel: CancelToken) -> Iterator[None]:
        """Hold the lease on `work` inside the context. Raises `Conflict` with the message `busy` if somebody has it.

        If the lease is lost, such as after this machine was suspended, cancels the token, and raises `Conflict` at the
        end of the context.
        """
        path = f"{LEASE_PREFIX}{hashlib.sha256(work.encode()).hexdigest()[:32]}"
        content = self.claims.new_content()
        claim = self.claims.take(path, content)
        if claim is None:
            raise Conflict(busy)
        lease = _Lease(self.claims, claim, content, cancel)
        thread = threading.Thread(target=lease.renew_until_stopped, name="lease", daemon=True)
        thread.start()
        try:
            yield
        except Cancelled as error:
            if lease.is_lost:
                raise Conflict(f"Another process has taken over, since this one was suspended. {busy}") from error
            raise
        finally:
            lease.stopped.set()
            thread.join()
            self.claims.release(lease.claim)


@dataclass
class _Lease:
    """A claim that one thread renews."""

    claims: Claims
    claim: StoredObject
    content: bytes
    cancel: CancelToken
    is_lost: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    def renew_until_stopped(self) -> None:
        """Renew the claim at intervals, until `stopped` is set or the claim is lost."""
        timeout = self.claims.timeout.total_seconds()
        valid_until = time.monotonic() + timeout
        while not self.stopped.wait(timeout / RENEWALS):
            started = time.monotonic()
            try:
                self.claim = self._renew()
                valid_until = started + timeout
            except Conflict:
                break
            except LookalikeError:
                log.warning("A lease could not be renewed", exc_info=True, extra={"path": self.claim.path})
                if started > valid_until:
                    break
        else:
            return
        self.is_lost = True
        self.cancel.cancel()

    def _renew(self) -> StoredObject:
        """Write the claim again. Raises `Conflict` if somebody has taken it over."""
        path, store = self.claim.path, self.claims.store
        try:
            return store.put_temporary(path, self.content, "text/plain", self.claim.generation)
        except Conflict:
            # an earlier renewal can have succeeded although its response was lost
            current = store.stat(path)
            if current is None or store.get(path) != self.content:
                raise
            return current

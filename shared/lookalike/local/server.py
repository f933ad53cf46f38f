"""The gateway under gunicorn, as functions-framework runs a function: one process with threads, made by a fork."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from lookalike.domain.errors import LookalikeError
from lookalike.local import cloud_emulation
from lookalike.local.gateway import Gateway

log = logging.getLogger("lookalike.serve")
GRACE = 8
"""Seconds that running requests get after SIGTERM; the host kills after 10."""


class Server(BaseApplication):  # type: ignore[misc]
    """Calls `ready` in the worker once the functions are loaded and the models are warm."""

    def __init__(self, folder: Path, host: str, port: int, threads: int, ready: Callable[[], None]) -> None:
        self._folder, self._ready, self._address = folder, ready, f"http://{host}:{port}"
        self._options = {
            "bind": f"{host}:{port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": threads,
            "timeout": 0,
            "graceful_timeout": GRACE,
            "loglevel": "warning",
            "limit_request_line": 8190,
            "post_worker_init": self._warm,
        }
        super().__init__()

    def load_config(self) -> None:
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> Gateway:
        return Gateway(self._folder)

    def _warm(self, worker: Any) -> None:
        from lookalike.bootstrap import services

        found = services()
        try:
            found.models.warm()
            found.index.warm()
        except LookalikeError as error:
            log.critical(error.message)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        cloud_emulation.start(found.store, self._address, found.settings.bucket, found.settings.reindex_every)
        self._ready()


def serve(folder: Path, host: str, port: int, threads: int, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT."""
    Server(folder, host, port, threads, ready).run()

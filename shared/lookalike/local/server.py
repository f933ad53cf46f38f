"""Serve the gateway with gunicorn as functions-framework serves a function: one forked worker with threads."""

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
GRACEFUL_TIMEOUT = 8
"""Seconds that running requests get after SIGTERM; Cloud Run sends SIGKILL after 10."""


class Server(BaseApplication):  # type: ignore[misc]
    """The gunicorn application. Calls `on_ready` in the worker once functions and models are loaded."""

    def __init__(self, folder: Path, host: str, port: int, threads: int, on_ready: Callable[[], None]) -> None:
        self._folder, self._on_ready, self._address = folder, on_ready, f"http://{host}:{port}"
        self._options = {
            "bind": f"{host}:{port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": threads,
            # searches may take longer than gunicorn's default of 30 s; the request timeout is enforced by the jobs
            "timeout": 0,
            "graceful_timeout": GRACEFUL_TIMEOUT,
            "loglevel": "warning",
            "limit_request_line": 8190,
            "post_worker_init": self._load_models,
        }
        super().__init__()

    def load_config(self) -> None:
        """Pass the options to gunicorn."""
        for key, value in self._options.items():
            self.cfg.set(key, value)

    def load(self) -> Gateway:
        """Create the WSGI application, in the worker."""
        return Gateway(self._folder)

    def _load_models(self, worker: Any) -> None:
        from lookalike.bootstrap import services
        from lookalike.http.request_timing import INSTANCE

        opened = services()
        try:
            opened.models.warm_up()
            opened.index.warm_up()
        except LookalikeError as error:
            log.critical(error.message)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        # Started here and not in the first request
        opened.telemetry  # noqa: B018
        INSTANCE.mark_ready()
        cloud_emulation.start_cloud_emulation(
            opened.store, self._address, opened.settings.bucket, opened.settings.reindex_every
        )
        self._on_ready()


def serve(folder: Path, host: str, port: int, threads: int, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT."""
    Server(folder, host, port, threads, on_ready).run()

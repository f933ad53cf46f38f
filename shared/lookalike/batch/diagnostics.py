"""What is configured, reachable and loaded."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import make_url

from lookalike.bootstrap import Services
from lookalike.domain.errors import LookalikeError

PROBE = "doctor/probe"


@dataclass(frozen=True, slots=True)
class CheckResult:
    part: str
    is_ok: bool
    message: str


def run_checks(services: Services) -> Iterator[CheckResult]:
    """One finding a part, each tried for real."""
    parts: dict[str, Callable[[Services], str]] = {
        "settings": _settings,
        "database": _database,
        "bucket": _bucket,
        "models": _models,
        "index": _index,
        "sign-in": _sign_in,
    }
    for what, look in parts.items():
        try:
            yield CheckResult(what, True, look(services))
        except LookalikeError as error:
            yield CheckResult(what, False, error.message)


def _settings(services: Services) -> str:
    own = services.settings.model_fields_set
    return f"set: {', '.join(sorted(name.upper() for name in own)) or 'nothing, all defaults'}"


def _database(services: Services) -> str:
    services.catalog.ping()
    return f"{make_url(services.settings.database).render_as_string(hide_password=True)}, up to date"


def _bucket(services: Services) -> str:
    probe = services.store.put(PROBE, str(time.time_ns()).encode(), "text/plain")
    services.store.delete(probe.path, probe.generation)
    return f"{services.settings.store}, readable and writable"


def _models(services: Services) -> str:
    began = time.monotonic()
    services.models.warm()
    seconds = time.monotonic() - began
    return f"{services.settings.models}: embedder {services.models.embedder}, {services.models.dim} numbers; warm in {seconds:.2f} s"


def _index(services: Services) -> str:
    seen = services.index.warm()
    if not services.settings.index_url.startswith("store:"):
        return f"{services.settings.index_url}: {seen.rows} garments, {seen.tail_rows} not written to it yet"
    pointer = services.versions.current()
    if pointer is None:
        return "no version yet: searches read every row; `lookalike index build` makes one"
    one = services.versions.manifest(pointer.version)
    found = f", approximate: finds {one.approximate['recall']} of the nearest" if one.approximate else ""
    pinned = ", pinned" if pointer.pinned else ""
    return f"{one.version}: {one.rows} garments of {one.embedder}, {seen.tail_rows} since{found}{pinned}"


def _sign_in(services: Services) -> str:
    services.auth  # noqa: B018 - building it reads its secret
    return services.settings.sign_in

"""Checks of `lookalike doctor`: settings, database, bucket, models, index, their consistency, and sign-in."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import make_url

from lookalike.bootstrap import Services
from lookalike.domain.errors import LookalikeError, NotFound, Untrusted

PROBE = "doctor/probe"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: a description of the part if it works, else what is wrong with it."""

    part: str
    is_ok: bool
    message: str


def run_checks(services: Services) -> Iterator[CheckResult]:
    """Run all checks; yield each result as soon as it is known."""
    checks: dict[str, Callable[[Services], str]] = {
        "settings": _settings,
        "database": _database,
        "bucket": _bucket,
        "models": _models,
        "index": _index,
        "vectors": _vectors,
        "objects": _objects,
        "sign-in": _sign_in,
    }
    for part, check in checks.items():
        try:
            yield CheckResult(part, True, check(services))
        except LookalikeError as error:
            yield CheckResult(part, False, error.message)


def _settings(services: Services) -> str:
    given = services.settings.model_fields_set
    return f"set: {', '.join(sorted(name.upper() for name in given)) or 'none, all defaults'}"


def _database(services: Services) -> str:
    services.catalog.ping()
    return f"{make_url(services.settings.database).render_as_string(hide_password=True)}, up to date"


def _bucket(services: Services) -> str:
    probe = services.store.put(PROBE, str(time.time_ns()).encode(), "text/plain")
    services.store.delete(probe.path, probe.generation)
    return f"{services.settings.store}, readable and writable"


def _models(services: Services) -> str:
    started = time.monotonic()
    services.models.warm_up()
    seconds = time.monotonic() - started
    settings, models = services.settings, services.models
    detector = f", detector {settings.detector}" if settings.detector else ""
    return (
        f"{settings.models}: embedder {models.embedder}, {models.dim} dimensions{detector}; loaded in {seconds:.2f} s"
    )


def _index(services: Services) -> str:
    info = services.index.warm_up()
    if not services.settings.index_url.startswith("store:"):
        return f"{services.settings.index_url}: {info.rows} garments, {info.tail_rows} not written to it yet"
    try:
        pointer = services.versions.current()
        if pointer is None:
            return "no version yet; searches read every row until `lookalike index build` creates one"
        manifest = services.versions.read_manifest(pointer.version)
        # Searches do not fail on a damaged version: they use an older one or the rows. So check every part here.
        services.versions.verify_parts(manifest)
    except (Untrusted, NotFound) as error:
        raise Untrusted(f"{error.message}. Run `lookalike index build` to replace the index version") from error
    if info.version is None:
        raise Untrusted(f"{pointer.version} cannot be loaded; see the log. Run `lookalike index build` to replace it")
    recall = f", approximate with recall {manifest.approximate['recall']}" if manifest.approximate else ""
    pinned = ", pinned" if pointer.pinned else ""
    return f"{manifest.version}: {manifest.rows} garments of {manifest.embedder}, {info.tail_rows} changed since{recall}{pinned}"


def _vectors(services: Services) -> str:
    if notice := services.missing_vectors.notice():
        raise LookalikeError(notice)
    return f"every garment has a vector of {services.models.embedder}"


def _objects(services: Services) -> str:
    findings = services.inspection.run()
    if not findings.is_empty:
        raise LookalikeError(f"{findings.summary()}. `lookalike doctor --repair` shows what it would do, and asks")
    return "every garment has its images, and every object and the index have their rows"


def _sign_in(services: Services) -> str:
    services.auth  # noqa: B018 - reading the property builds it, which reads its secret
    return services.settings.sign_in

"""`lookalike index …` and `lookalike reembed`."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import EXISTING_FILE, EXISTING_FOLDER, open_services, progress_bar_of_length, report_errors
from lookalike.domain.errors import Conflict

if TYPE_CHECKING:
    from lookalike.settings import Settings

INDEX_FILE, ID_MAP_FILE = "vector_nn_index.pkl", "vector_id_map.json"
"""File names of the original system's index."""


@click.group()
def index() -> None:
    """Index versions."""


@index.command("build")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
@report_errors
def index_build(as_json: bool) -> None:
    """Build an index version of all garments and publish it."""
    manifest = open_services().reindex.build()
    text = f"Published {manifest.version}: {manifest.rows} garments, {manifest.build_seconds:.2f} s"
    click.echo(json.dumps(asdict(manifest)) if as_json else text)


@index.command("list")
@report_errors
def index_list() -> None:
    """List the index versions, newest last; a star marks the current one."""
    versions = open_services().versions
    current = versions.current()
    for manifest in versions.list_manifests():
        is_current = bool(current and current.version == manifest.version)
        notes = f"  recall {manifest.approximate['recall']}" if manifest.approximate else ""
        notes += "  pinned" if is_current and current and current.pinned else ""
        line = f"{manifest.version}  {manifest.rows:>8} garments  {manifest.embedder}  {manifest.built_at}{notes}"
        click.echo(f"{'*' if is_current else ' '} {line}")


@index.command("rollback")
@click.argument("version", required=False)
@report_errors
def index_rollback(version: str | None) -> None:
    """Make VERSION (default: the one before the current one) current and pin it until the next `index build`."""
    manifest = open_services().versions.roll_back(version)
    click.echo(f"{manifest.version} is current again: {manifest.rows} garments, built at {manifest.built_at}")


@index.command("import")
@click.argument("folder", type=EXISTING_FOLDER)
@click.option("--unchecked", is_flag=True, help="Import even if no garment has a vector to compare with.")
@report_errors
def index_import(folder: Path, unchecked: bool) -> None:
    """Import the original system's unsigned index from FOLDER: its vectors, for garments that have none.

    The pickle is parsed without executing anything in it. Its vectors are compared with those in the catalog, and the
    result is published as a signed version.
    """
    from lookalike.adapters.original_index import read_original_index

    parts = [EXISTING_FILE.convert(folder / name, None, None).read_bytes() for name in (INDEX_FILE, ID_MAP_FILE)]
    summary = open_services().import_index.run(*read_original_index(*parts), unchecked)
    click.echo(
        f"{summary.added} vectors imported, {summary.known} already present, {summary.unknown_rows} of unknown rows ignored"
    )
    click.echo(f"Published {summary.version}")


@index.command("prune")
@click.option("--keep", type=click.IntRange(1), default=2, show_default=True, help="Number of newest versions to keep.")
@report_errors
def index_prune(keep: int) -> None:
    """Delete old versions. The current version is always kept."""
    deleted = open_services().versions.prune(keep)
    click.echo("\n".join([*(f"deleted {version}" for version in deleted), f"{len(deleted)} versions deleted"]))


@click.command()
@click.option("--models", type=click.Choice(["compact", "full"]), help="The models to change to (default: MODELS).")
@click.option("--embedder", help="The embedder to change to: a value of EMBEDDER (default: that of --models).")
@click.option("--retry-failed", is_flag=True, help="Also try garments that failed in an earlier run.")
@click.option("--settle", is_flag=True, help="Delete the vectors and the index of all other models.")
@click.option("--cloud", is_flag=True, help="Run as tasks of the Cloud Run job lookalike-reembed.")
@click.option(
    "--tasks", type=click.IntRange(1, 10_000), help="With --cloud: number of tasks (default: that of the job)."
)
@report_errors
def reembed(
    models: str | None, embedder: str | None, retry_failed: bool, settle: bool, cloud: bool, tasks: int | None
) -> None:
    """Give every stored garment a vector of the models, keep its other vectors, and build and check the index.

    Needed after an update with new built-in models, and before a change of MODELS. Searches continue meanwhile. Resumes
    where an earlier run stopped.
    """
    services = open_services()
    if cloud:
        reembed_in_cloud(services.settings, models, embedder, retry_failed, settle, tasks)
        return
    share = services.settings.cloud_run_task_index, services.settings.cloud_run_task_count
    if settle and share[1] > 1:
        raise Conflict("--settle needs vectors of all garments: run it with one task, after all others")
    target_services = services.with_models(*choose_models(services.settings, models, embedder))
    target, current = describe_models(target_services.settings), describe_models(services.settings)
    if settle and target != current:
        raise Conflict(
            f"--settle would delete the vectors of {current}, which is in use; set {target} everywhere first"
        )
    task = target_services.reembed
    embedder_name = target_services.models.embedder
    missing = task.secondary_vectors.count_missing_vectors(embedder_name) // share[1]
    with progress_bar_of_length(missing, "Embedding") as progress:
        summary = task.run(retry_failed, progress.update, share)
    for name, reason in summary.failed.items():
        click.echo(f"  skipped {name}: {reason}")
    has_work = summary.embedded or summary.failed
    done = f"{summary.embedded} garments embedded, {len(summary.failed)} skipped"
    state = done if has_work else f"Every garment has a vector of {embedder_name}"
    if not summary.version:
        click.echo(f"{done} by task {share[0]} of {share[1]}; run this with one task to build the index")
        return
    click.echo(f"{state}; index {summary.version} published and checked")
    if settle:
        kept = f"; {len(summary.failed)} skipped garments keep their old vectors" if summary.failed else ""
        count = task.drop_old_vectors(len(summary.failed))
        click.echo(f"{count} garments now have only vectors of {embedder_name}{kept}")
    elif target != current:
        click.echo(f"Set {target} to search with them; then run this again for garments stored meanwhile")


def reembed_in_cloud(
    settings: "Settings", models: str | None, embedder: str | None, retry_failed: bool, settle: bool, tasks: int | None
) -> None:
    """Embed in several tasks, and then build the index in one, which also embeds what was stored meanwhile."""
    from lookalike.bootstrap.cloud import REEMBED_JOB
    from lookalike.cli.cloud import run_in_cloud

    arguments = ["reembed", *(["--models", models] if models else []), *(["--embedder", embedder] if embedder else [])]
    retry, last = ["--retry-failed"] if retry_failed else [], ["--settle"] if settle else []
    if tasks != 1:
        run_in_cloud(settings, REEMBED_JOB, [*arguments, *retry], tasks, "Embedding")
    state = run_in_cloud(
        settings, REEMBED_JOB, [*arguments, *(retry if tasks == 1 else []), *last], 1, "Building the index"
    )
    click.echo(f"Every garment has a vector, and the index is published. Log: {state.log_address}")


def choose_models(settings: "Settings", models: str | None, embedder: str | None) -> tuple[str, str]:
    """Return the values of MODELS and EMBEDDER that the options ask for. A value that is not given stays as it is.

    With other models and no embedder, a model folder is not kept: these models have an embedder of their own.
    """
    from lookalike.settings import EMBEDDER

    if embedder is None:
        embedder = "" if models and settings.embedder_folder else settings.embedder
    elif not re.fullmatch(EMBEDDER, embedder):
        raise click.BadParameter("not a value of EMBEDDER: resnet50, dinov2 or folder:…", param_hint="--embedder")
    return models or settings.models, embedder


def describe_models(settings: "Settings") -> str:
    """Return the settings that choose the embedder."""
    if settings.models == "compact" and not settings.embedder_folder:
        return "MODELS=compact"
    return f"MODELS={settings.models} EMBEDDER={settings.full_embedder or settings.embedder}"

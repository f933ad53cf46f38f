"""`lookalike index …` and `lookalike reembed`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.common import FILE, FOLDER, bar_of, open_services, plainly
from lookalike.domain.errors import Conflict

if TYPE_CHECKING:
    from lookalike.settings import Settings
    from lookalike.usecases.reembed import Summary

INDEX_FILE, ID_MAP_FILE = "vector_nn_index.pkl", "vector_id_map.json"


@click.group()
def index() -> None:
    """The prebuilt index."""


@index.command("build")
@click.option("--json", "as_json", is_flag=True)
@plainly
def index_build(as_json: bool) -> None:
    """Build an index version of all garments, and publish it."""
    manifest = open_services().reindex.build()
    text = f"Published {manifest.version}: {manifest.rows} garments, {manifest.build_seconds:.2f} s"
    click.echo(json.dumps(asdict(manifest)) if as_json else text)


@index.command("list")
@plainly
def index_list() -> None:
    """The versions there are, newest last; the one that counts with a star."""
    versions = open_services().versions
    current = versions.current()
    for manifest in versions.list():
        counts = bool(current and current.version == manifest.version)
        more = f"  recall {manifest.approximate['recall']}" if manifest.approximate else ""
        more += "  pinned" if counts and current and current.pinned else ""
        line = f"{manifest.version}  {manifest.rows:>8} garments  {manifest.embedder}  {manifest.built_at}{more}"
        click.echo(f"{'*' if counts else ' '} {line}")


@index.command("rollback")
@click.argument("version", required=False)
@plainly
def index_rollback(version: str | None) -> None:
    """Have VERSION, or the one before the current one, count again, until `index build` publishes another."""
    manifest = open_services().versions.roll_back(version)
    click.echo(f"{manifest.version} counts again: {manifest.rows} garments, built at {manifest.built_at}")


@index.command("import")
@click.argument("folder", type=FOLDER)
@click.option("--unchecked", is_flag=True, help="Though no garment has a vector that tells whose index it is.")
@plainly
def index_import(folder: Path, unchecked: bool) -> None:
    """Take over the original system's index in FOLDER, which is not signed: its vectors, for garments that have none.

    It is read without running anything of it, compared with the vectors that the catalog has, and published as a signed version.
    """
    from lookalike.adapters.original_index import read_original

    parts = [FILE.convert(folder / name, None, None).read_bytes() for name in (INDEX_FILE, ID_MAP_FILE)]
    summary = open_services().import_index.run(*read_original(*parts), unchecked)
    click.echo(
        f"{summary.added} vectors taken over, {summary.known} known, {summary.strange} of rows that are not there"
    )
    click.echo(f"Published {summary.version}")


@index.command("prune")
@click.option("--keep", type=click.IntRange(1), default=2, show_default=True, help="Newest versions that stay.")
@plainly
def index_prune(keep: int) -> None:
    """Delete old versions. The current one stays in any case."""
    gone = open_services().versions.prune(keep)
    click.echo("\n".join([*(f"deleted {version}" for version in gone), f"{len(gone)} versions deleted"]))


@click.command()
@click.option("--models", type=click.Choice(["compact", "full"]), required=True, help="The models to change to.")
@click.option("--embedder", type=click.Choice(["resnet50", "dinov2"]), help="Which of the full ones (EMBEDDER).")
@click.option("--retry-failed", is_flag=True, help="Try garments again that failed before.")
@click.option("--settle", is_flag=True, help="Give up the vectors and the index of all other models.")
@plainly
def reembed(models: str, embedder: str | None, retry_failed: bool, settle: bool) -> None:
    """Give every stored garment a vector of other models, beside those in use, and build and check their index.

    Searches go on meanwhile. May be interrupted and run again. Then start with MODELS set to them.
    """
    services = open_services()
    chosen = services.with_models(models, embedder or services.settings.embedder)
    wanted, in_use = naming(chosen.settings), naming(services.settings)
    if settle and wanted != in_use:
        raise Conflict(
            f"--settle would leave nothing to search for {in_use}: set {wanted} first, here and wherever it runs"
        )
    task = chosen.reembed
    with bar_of(task.beside.count_missing_vectors(chosen.models.embedder), "Embedding") as progress:
        summary = task.run(retry_failed, progress.update)
    tell(summary)
    if settle:
        left = f", {len(summary.failed)} passed over keep what they had" if summary.failed else ""
        count = task.settle(len(summary.failed))
        click.echo(f"{count} garments have the vectors of {chosen.models.embedder} alone{left}")
    elif wanted != in_use:
        click.echo(f"Start with {wanted} to search with them; run this again for what others stored meanwhile")


def tell(summary: "Summary") -> None:
    for name, reason in summary.failed.items():
        click.echo(f"  passed over {name}: {reason}")
    click.echo(
        f"{summary.embedded} garments embedded, {len(summary.failed)} passed over; index {summary.version} checked"
    )


def naming(settings: "Settings") -> str:
    """What chooses the embedder."""
    return "MODELS=compact" if settings.models == "compact" else f"MODELS=full EMBEDDER={settings.embedder}"

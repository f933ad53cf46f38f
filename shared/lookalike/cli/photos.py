"""`lookalike ingest`, `search`, `detect` and `embed`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.common import (
    EXISTING_FILE,
    EXISTING_FOLDER,
    OUTPUT_FILE,
    OUTPUT_FOLDER,
    open_services,
    progress_bar,
    progress_bar_of_length,
    report_errors,
)
from lookalike.domain.errors import LookalikeError

if TYPE_CHECKING:
    from lookalike.batch.photo_sources import PhotoFile
    from lookalike.bootstrap import Services
    from lookalike.settings import Settings


@click.command()
@click.argument("source", metavar="FOLDER")
@click.option("--retry-failed", is_flag=True, help="Also try photos that failed in an earlier run.")
@click.option("--dry-run", is_flag=True, help="Only count the photos that would be stored.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.option("--cloud", is_flag=True, help="Run as tasks of the Cloud Run job lookalike-ingest.")
@click.option(
    "--tasks", type=click.IntRange(1, 10_000), help="With --cloud: number of tasks (default: that of the job)."
)
@report_errors
def ingest(source: str, retry_failed: bool, dry_run: bool, as_json: bool, cloud: bool, tasks: int | None) -> None:
    """Store the garments of all photos in FOLDER or gs://BUCKET/PREFIX.

    Resumes where an earlier run stopped. Photos that cannot be read are reported and skipped. With WEBHOOK_URL, sends an
    event at the end.
    """
    from lookalike.batch.ingest import ingest_all, notify_done, plan_ingest

    services = open_services()
    if cloud:
        ingest_in_cloud(services.settings, source, retry_failed, dry_run, as_json, tasks)
        return
    photos = list_photos(services, source)
    if dry_run:
        summary = plan_ingest(services, photos, retry_failed).summary
    else:
        summary = ingest_all(services, photos, retry_failed, progress_bar_of_length)
        notify_done(services, source, summary)
    if as_json:
        click.echo(json.dumps(asdict(summary)))
        return
    for name, reason in summary.failed.items():
        click.echo(f"  skipped {name}: {reason}")
    counts = f"{summary.known} stored before, {len(summary.failed)} skipped"
    if dry_run:
        click.echo(f"{summary.due} photos would be stored, {counts}")
    else:
        rate = f"{summary.seconds:.1f} s ({summary.photos_per_second:.1f} photos/s)"
        click.echo(f"{summary.stored} photos stored with {summary.garments} garments, {counts}, in {rate}")


def ingest_in_cloud(
    settings: "Settings", source: str, retry_failed: bool, dry_run: bool, as_json: bool, tasks: int | None
) -> None:
    """Start the job that ingests a bucket, and follow it. The log of its tasks has the number of photos."""
    from lookalike.bootstrap.cloud import INGEST_JOB
    from lookalike.cli.cloud import run_in_cloud

    if not source.startswith("gs://"):
        raise click.UsageError("--cloud reads gs://BUCKET/PREFIX only: upload the folder first, or leave --cloud out")
    if dry_run:
        raise click.UsageError("--dry-run counts without the cloud: leave --cloud out")
    arguments = ["ingest", source, *(["--retry-failed"] if retry_failed else [])]
    state = run_in_cloud(settings, INGEST_JOB, arguments, tasks, "Ingesting")
    if as_json:
        click.echo(json.dumps(asdict(state)))
    else:
        click.echo(f"{state.succeeded} tasks have stored their photos. Log: {state.log_address}")


def list_photos(services: "Services", source: str) -> "list[PhotoFile]":
    """List the photos of a folder or of `gs://bucket/prefix`. As one of several tasks, only those of its share.

    Raises `InvalidField` for the folder or bucket in which lookalike stores its own images.
    """
    from lookalike.batch.photo_sources import share_of_task

    settings = services.settings
    photos = list_objects(services, source) if source.startswith("gs://") else list_files(settings, source)
    return share_of_task(photos, settings.cloud_run_task_index, settings.cloud_run_task_count)


def list_objects(services: "Services", source: str) -> "list[PhotoFile]":
    """List the photos of `gs://bucket/prefix`."""
    from lookalike.batch.photo_sources import check_own_bucket, list_bucket

    bucket, _, prefix = source.removeprefix("gs://").partition("/")
    settings, own_prefix = services.settings, ""
    if settings.store.startswith("gs://") and settings.bucket == bucket:
        own_prefix = settings.prefix
        check_own_bucket(bucket, prefix, own_prefix)
    return list_bucket(services.open_store(f"gs://{bucket}"), bucket, prefix, own_prefix)


def list_files(settings: "Settings", source: str) -> "list[PhotoFile]":
    """List the photos of a folder."""
    from lookalike.batch.photo_sources import check_own_folder, list_folder

    folder: Path = EXISTING_FOLDER.convert(source, None, None)
    if settings.store.startswith("file:"):
        check_own_folder(folder, Path(settings.store.removeprefix("file:")))
    return list_folder(folder)


@click.command()
@click.argument("photo", type=EXISTING_FILE)
@click.option("--num", type=click.IntRange(1, 100), default=5, show_default=True, help="Matches per garment.")
@click.option("--whole", is_flag=True, help="Search with the whole photo instead of each garment in it.")
@click.option("--out", type=OUTPUT_FILE, default="matches.jpg", show_default=True, help="Image of the matches.")
@click.option("--json", "as_json", is_flag=True, help="Print the matches as JSON.")
@report_errors
def search(photo: Path, num: int, whole: bool, out: Path, as_json: bool) -> None:
    """Find the stored garments most similar to those of PHOTO."""
    from lookalike.batch.photos import search_file, write_result_image

    services = open_services()
    result = search_file(services, photo, num, segment=not whole)
    write_result_image(services, photo, result, out)
    if as_json:
        from lookalike.http.handlers.responses import group_response

        click.echo(json.dumps({"groups": [group_response(group) for group in result.groups], "picture": str(out)}))
        return
    for group in result.groups:
        garment = group.garment
        score = f" ({garment.score:.2f})" if garment and garment.score is not None else ""
        click.echo(f"{(garment and garment.label) or 'whole photo'}{score}")
        for match in group.matches:
            click.echo(f"  {match.similarity:6.3f}  {match.segment.name}")
    index = result.index
    click.echo(f"Image: {out}   index: {index.rows} garments, {index.tail_rows} of them added since it was built")
    if notice := services.missing_vectors.notice():
        click.echo(f"Note: {notice}.")


@click.command()
@click.argument("photos", type=EXISTING_FILE, nargs=-1, required=True)
@click.option("--masks", type=OUTPUT_FOLDER, help="Folder for the masks: <photo name>_<n>.png, n from 0.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per photo.")
@report_errors
def detect(photos: tuple[Path, ...], masks: Path | None, as_json: bool) -> None:
    """List the garments in each PHOTO: label, score and box (x1, y1, x2, y2 in pixels).

    The masks are 8-bit images of the size of the upright photo, numbered in the order of the garments.
    """
    from lookalike.batch.photos import detect_file

    check_distinct_names(photos if masks else ())
    if masks is not None:
        masks.mkdir(parents=True, exist_ok=True)
    services, failed = open_services(), 0
    for photo in photos:
        try:
            line = detect_file(services, photo, masks)
        except LookalikeError as error:
            failed += 1
            line = {"path": str(photo), "error": {"code": error.code, "message": error.message}}
        click.echo(json.dumps(line) if as_json else format_detections(line))
    sys.exit(1 if failed else 0)


def check_distinct_names(photos: tuple[Path, ...]) -> None:
    """Raise `UsageError` if masks of two photos would have the same file name."""
    names = [photo.stem for photo in photos]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise click.UsageError(f"two photos are named {repeated[0]}: their masks would overwrite each other")


def format_detections(line: dict[str, Any]) -> str:
    """Format one photo's detections, or its error, as text."""
    if "error" in line:
        return f"{line['path']}: {line['error']['message']}"
    garments = [f"  {one['label']:<10} {one['score']:.2f}  {one['box']}" for one in line["detections"]]
    return "\n".join([f"{line['path']} ({line['width']} x {line['height']})", *(garments or ["  no garments found"])])


@click.command()
@click.argument("photos", type=EXISTING_FILE, nargs=-1, required=True)
@click.option("--out", type=OUTPUT_FILE, required=True, help="An .npz file.")
@click.option("--garment", is_flag=True, help="Embed the largest garment instead of the whole photo.")
@report_errors
def embed(photos: tuple[Path, ...], out: Path, garment: bool) -> None:
    """Write the unit vectors of the PHOTOS to a file: `names` and `vectors` (float32), one row each, in order."""
    import numpy as np

    from lookalike.batch.photos import embed_file

    services = open_services()
    with progress_bar(photos, "Embedding") as paths:
        rows = [embed_file(services, path, garment) for path in paths]
    with out.open("wb") as file:
        np.savez(file, names=np.array([str(photo) for photo in photos]), vectors=np.stack(rows))
    click.echo(f"{out}: {len(rows)} vectors of length {len(rows[0])}")

"""The command line. What each command needs is imported inside it, so that `--help` is quick."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import lookalike
from lookalike.cli.common import FILE, FOLDER, bar, bar_of, open_services, plainly
from lookalike.cli.details import details, erase
from lookalike.cli.index import index, reembed
from lookalike.domain.errors import LookalikeError

if TYPE_CHECKING:
    from lookalike.bootstrap import Services
    from lookalike.cli.photo_sources import Item

FUNCTIONS = Path(lookalike.__file__).parents[2] / "functions"
DAY = 86_400
QUERY_SEED = 20_261
"""Of a picture that no closet holds."""


@click.group()
@click.version_option(lookalike.__version__)
def main() -> None:
    """Finds similar fashion items in photographs."""


main.add_command(index)
main.add_command(reembed)
main.add_command(details)
main.add_command(erase)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@plainly
def serve(host: str) -> None:
    """Every function behind one port, with a page at /."""
    from lookalike.local.server import serve as run

    settings = open_services(quiet=False).settings
    address = f"http://localhost:{settings.port}"

    def ready() -> None:
        token = admin_token(30)
        click.echo(f"\nAdministrator's token (30 days; `lookalike token` makes another):\n{token}\n")
        click.echo(f"Ready: {address}/#token={token}\n")

    run(FUNCTIONS, host, settings.port, settings.concurrency, ready)


@main.command()
@click.argument("source", metavar="FOLDER")
@click.option("--retry-failed", is_flag=True, help="Try photos again that failed before.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
@plainly
def ingest(source: str, retry_failed: bool, as_json: bool) -> None:
    """Store the garments of every photo in FOLDER, or in gs://bucket/prefix. May be interrupted and run again."""
    from lookalike.cli.batch import ingest_all

    services = open_services()
    summary = ingest_all(services, items_of(services, source), retry_failed, bar)
    if as_json:
        click.echo(json.dumps(asdict(summary)))
        return
    for name, reason in summary.failed.items():
        click.echo(f"  passed over {name}: {reason}")
    click.echo(
        f"{summary.stored} photos stored with {summary.garments} garments, {summary.known} known from before, "
        f"{len(summary.failed)} passed over, in {summary.seconds:.1f} s"
    )


def items_of(services: "Services", source: str) -> "list[Item]":
    from lookalike.cli.photo_sources import in_bucket, in_folder

    if source.startswith("gs://"):
        bucket, _, prefix = source.removeprefix("gs://").partition("/")
        return in_bucket(services.open_store(f"gs://{bucket}"), bucket, prefix)
    return in_folder(FOLDER.convert(source, None, None))


@main.command()
@click.argument("photo", type=FILE)
@click.option("--num", type=click.IntRange(1, 100), default=5, show_default=True, help="Matches of each garment.")
@click.option("--whole", is_flag=True, help="Search for the whole photo, not for each garment in it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="matches.jpg", show_default=True)
@click.option("--json", "as_json", is_flag=True)
@plainly
def search(photo: Path, num: int, whole: bool, out: Path, as_json: bool) -> None:
    """The stored garments most similar to those of PHOTO, as a table and a picture."""
    from lookalike.cli.batch import search_file, write_picture

    services = open_services()
    found = search_file(services, photo, num, segment=not whole)
    write_picture(services, photo, found, out)
    if as_json:
        from lookalike.http.handlers import group_answer

        click.echo(json.dumps({"groups": [group_answer(group) for group in found.groups], "picture": str(out)}))
        return
    for group in found.groups:
        score = f" ({group.garment.score:.2f})" if group.garment.score is not None else ""
        click.echo(f"{group.garment.label or 'whole photo'}{score}")
        for match in group.matches:
            click.echo(f"  {match.similarity:6.3f}  {match.segment.name}")
    click.echo(f"Picture: {out}   index: {found.index.rows} garments, {found.index.tail_rows} since it was built")


@main.command()
@click.argument("photos", type=FILE, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a photo.")
@plainly
def detect(photos: tuple[Path, ...], as_json: bool) -> None:
    """The garments in each PHOTO: boxes (x1, y1, x2, y2 in pixels), labels, scores."""
    from lookalike.cli.batch import detect_file

    services, failed = open_services(), 0
    for photo in photos:
        try:
            line = detect_file(services, photo)
        except LookalikeError as error:
            failed += 1
            line = {"path": str(photo), "error": {"code": error.code, "message": error.message}}
        click.echo(json.dumps(line) if as_json else described(line))
    sys.exit(1 if failed else 0)


def described(line: dict[str, Any]) -> str:
    if "error" in line:
        return f"{line['path']}: {line['error']['message']}"
    found = [f"  {one['label']:<10} {one['score']:.2f}  {one['box']}" for one in line["detections"]]
    return "\n".join([f"{line['path']} ({line['width']} x {line['height']})", *(found or ["  nothing found"])])


@main.command()
@click.argument("photos", type=FILE, nargs=-1, required=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="An .npz file.")
@click.option("--garment", is_flag=True, help="Embed the largest garment found, not the whole photo.")
@plainly
def embed(photos: tuple[Path, ...], out: Path, garment: bool) -> None:
    """Unit vectors of the PHOTOS: `names` and `vectors` (float32), one row each, in order."""
    import numpy as np

    from lookalike.cli.batch import embed_file

    services = open_services()
    with bar(photos, "Embedding") as some:
        rows = [embed_file(services, photo, garment) for photo in some]
    with out.open("wb") as file:
        np.savez(file, names=np.array([str(photo) for photo in photos]), vectors=np.stack(rows))
    click.echo(f"{out}: {len(rows)} rows of {len(rows[0])}")


@main.group()
def models() -> None:
    """The weights of the full models (MODELS=full)."""


@models.command("fetch")
@click.option("--mirror", default="", help="Address of a folder that has the files, instead of their publishers'.")
@plainly
def models_fetch(mirror: str) -> None:
    """Download the weights into MODELS_DIR, a folder or a bucket. May be interrupted and run again."""
    from lookalike.cli.weights import fetch_all

    for file, state in fetch_all(open_services(), mirror, bar_of):
        click.echo(f"{file.name}: {state}")


@models.command("list")
@plainly
def models_list() -> None:
    """Which weights are there, and whether they are what they should be."""
    from lookalike.cli.weights import look

    states = list(look(open_services()))
    for file, problem in states:
        click.echo(problem or f"{file.name}: ok")
    sys.exit(1 if any(problem for _, problem in states) else 0)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", type=click.IntRange(1, 9999), default=120, show_default=True)
@click.option("--query", type=click.Path(dir_okay=False, path_type=Path), help="Also draw a photo to search with.")
@plainly
def closet(folder: Path, count: int, query: Path | None) -> None:
    """Draw a sample closet: COUNT pictures of garments, flat and worn, and their product details."""
    from lookalike.local.closet import draw_closet, draw_scene

    folder.mkdir(parents=True, exist_ok=True)
    if query:
        draw_scene(QUERY_SEED, worn=True).image.save(query, quality=90)
    with click.progressbar(length=count, label="Drawing") as progress:
        draw_closet(folder, count, progress=progress.update)


@main.command()
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True)
@plainly
def token(days: int) -> None:
    """A token of an administrator of this machine."""
    click.echo(admin_token(days))


def admin_token(days: int) -> str:
    from lookalike.adapters.local_auth import LocalAuth
    from lookalike.domain.model import User

    auth = open_services(quiet=False).auth
    if not isinstance(auth, LocalAuth):
        raise click.ClickException("Tokens are made by the sign-in service that AUTH_URL names")
    return auth.issue(User("local-admin", "admin@localhost", "admin"), days * DAY)


@main.group()
def users() -> None:
    """Accounts."""


@users.command("grant")
@click.argument("email")
@click.argument("role", type=click.Choice(["admin", "user"]))
@plainly
def users_grant(email: str, role: str) -> None:
    """Make EMAIL an administrator, or an ordinary user again. Counts from their next sign-in or refresh on."""
    user = open_services().accounts.grant(email, role)
    click.echo(f"{user.email} is {'an administrator' if user.is_admin else 'a user'} from the next token on")


@main.group()
def db() -> None:
    """The database."""


@db.command("upgrade")
@plainly
def db_upgrade() -> None:
    """Make the tables, or bring them up to date. Those of the original are taken over with their rows."""
    open_services().upgrade_database()
    click.echo("The database is up to date")


@db.command("adopt")
@plainly
def db_adopt() -> None:
    """Move what the original system kept in rows: pictures to the bucket, vectors to the binary column.

    Run `db upgrade` before. May be interrupted and run again.
    """
    services = open_services()
    with bar_of(services.adopt.rows.count_legacy_rows(), "Adopting") as progress:
        summary = services.adopt.run(progress.update)
    for row_id, reason in summary.left.items():
        click.echo(f"  left row {row_id} as it is: {reason}")
    click.echo(f"{summary.moved} rows adopted, {len(summary.left)} left as they are")


@main.command()
@click.option("--json", "as_json", is_flag=True)
@plainly
def doctor(as_json: bool) -> None:
    """What is configured, reachable and loaded."""
    from lookalike.cli.diagnostics import examine

    findings = list(examine(open_services()))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in findings]))
    else:
        for one in findings:
            click.echo(f"{'ok ' if one.well else 'BAD'}  {one.what:<10} {one.said}")
    sys.exit(0 if all(one.well for one in findings) else 1)

"""`lookalike widget`"""

from pathlib import Path

import click

from lookalike.cli.common import open_services, report_errors


@click.command()
@click.argument("destination")
@report_errors
def widget(destination: str) -> None:
    """Write the web widget to DESTINATION, a folder or gs://bucket/folder, and print how pages load it.

    It is written under two names: lookalike-search.js, and one that contains its version and never changes its content.
    """
    from lookalike.http.widget import load_widget

    script = load_widget()
    versioned = f"lookalike-search.{script.version}.js"
    for name in ("lookalike-search.js", versioned):
        if destination.startswith("gs://"):
            _write_object(destination, name, script.script)
        else:
            folder = Path(destination)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(script.script)
    click.echo(f"Written to {destination}. Its newest version, and this very one:")
    click.echo('<script src="…/lookalike-search.js" async></script>')
    click.echo(f'<script src="…/{versioned}" integrity="{script.integrity}" crossorigin async></script>')


def _write_object(destination: str, name: str, data: bytes) -> None:
    """Write an object, in place of an earlier version."""
    from lookalike.http.widget import CONTENT_TYPE

    bucket, _, folder = destination.removeprefix("gs://").strip("/").partition("/")
    store = open_services().open_store(f"gs://{bucket}")
    path = f"{folder}/{name}" if folder else name
    existing = store.stat(path)
    store.put(path, data, CONTENT_TYPE, existing.generation if existing else 0)

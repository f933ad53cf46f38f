"""`lookalike models …`"""

import sys

import click

from lookalike.cli.common import open_services, progress_bar_of_length, report_errors


@click.group()
def models() -> None:
    """Weights of the full models (MODELS=full)."""


@models.command("fetch")
@click.option("--mirror", default="", help="URL of a folder that has the files, instead of their publishers'.")
@report_errors
def models_fetch(mirror: str) -> None:
    """Download the weights into MODELS_DIR, a folder or a bucket. Resumes an interrupted download."""
    from lookalike.batch.weights import fetch_weights

    for file, state in fetch_weights(open_services(), mirror, progress_bar_of_length):
        click.echo(f"{file.name}: {state}")


@models.command("list")
@report_errors
def models_list() -> None:
    """Check that each weight file is present and has the right checksum."""
    from lookalike.batch.weights import check_weights

    states = list(check_weights(open_services()))
    for file, problem in states:
        click.echo(problem or f"{file.name}: ok")
    sys.exit(1 if any(problem for _, problem in states) else 0)

"""The command line, one module per group of commands.

Commands import what they need when they run, so that `lookalike --help` is fast.
"""

import click

import lookalike
from lookalike.cli.admin import db, doctor, users
from lookalike.cli.catalog import catalog
from lookalike.cli.closet import closet
from lookalike.cli.details import details
from lookalike.cli.duplicates import duplicates
from lookalike.cli.erase import erase
from lookalike.cli.evaluate import evaluate
from lookalike.cli.find import find
from lookalike.cli.index import index, reembed
from lookalike.cli.keys import keys
from lookalike.cli.models import models
from lookalike.cli.photos import detect, embed, ingest, search
from lookalike.cli.report import report
from lookalike.cli.serve import serve, token
from lookalike.cli.transfer import export_catalog, import_catalog
from lookalike.cli.widget import widget


@click.group()
@click.version_option(lookalike.__version__)
def main() -> None:
    """Find similar fashion items in photographs."""


for command in (
    *(serve, ingest, search, find, detect, embed),
    *(index, reembed, models, evaluate),
    *(catalog, closet, details, duplicates, report, erase),
    *(export_catalog, import_catalog),
    *(users, keys, token, widget, db, doctor),
):
    main.add_command(command)

"""Helpers of all commands: error reporting, access to the services, progress bars and argument types."""

import logging
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from lookalike.domain.errors import LookalikeError

if TYPE_CHECKING:
    from lookalike.bootstrap import Services
    from lookalike.domain.filter import Filter

P = ParamSpec("P")
T = TypeVar("T")
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT_FOLDER = click.Path(file_okay=False, path_type=Path)
OUTPUT_FILE = click.Path(dir_okay=False, path_type=Path)


def report_errors(command: Callable[P, T]) -> Callable[P, T]:
    """Print a `LookalikeError` as one line and exit with status 1, instead of a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except LookalikeError as error:
            raise click.ClickException(error.message) from error

    return run


def open_services(quiet: bool = True) -> "Services":
    """Return the services of this process; `quiet` logs errors only, since log lines would break progress bars."""
    from lookalike.bootstrap import services

    opened = services()
    if quiet:
        logging.getLogger("lookalike").setLevel(logging.ERROR)
    return opened


def parse_filter(filter_json: str) -> "Filter":
    """Return the conditions of an option `--filter`. Raises `LookalikeError`."""
    from pydantic import ValidationError

    from lookalike.http.request_schemas import FilteredRequest

    try:
        return FilteredRequest.model_validate({"filter": filter_json}).conditions()
    except ValidationError as error:
        raise LookalikeError(f"--filter: {error.errors(include_input=False)[0]['msg']}") from None


def progress_bar_of_length(length: int, label: str) -> Any:
    """Return a progress bar on stderr, advanced with `update(steps, text)`. Hidden if stderr is not a terminal.

    Shows the time left, and the text of the last update if there was one.
    """
    is_hidden = not sys.stderr.isatty()
    return click.progressbar(
        length=length, label=label, file=sys.stderr, hidden=is_hidden, item_show_func=lambda text: text
    )


def progress_bar(items: Iterable[T], label: str) -> Any:
    """Return an iterable with a progress bar on stderr. It is hidden if stderr is not a terminal."""
    return click.progressbar(items, label=label, file=sys.stderr, hidden=not sys.stderr.isatty(), show_pos=True)

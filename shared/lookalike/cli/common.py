"""What the commands share."""

import sys
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from lookalike.domain.errors import LookalikeError

if TYPE_CHECKING:
    from lookalike.bootstrap import Services

P = ParamSpec("P")
T = TypeVar("T")
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def plainly(command: Callable[P, T]) -> Callable[P, T]:
    """Our own errors as one line instead of a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except LookalikeError as error:
            raise click.ClickException(error.message) from error

    return run


def open_services(quiet: bool = True) -> "Services":
    """Logs of single requests would break progress bars and tables."""
    import logging

    from lookalike.bootstrap import services

    found = services()
    if quiet:
        logging.getLogger("lookalike").setLevel(logging.ERROR)
    return found


def bar_of(length: int, label: str) -> Any:
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


def bar(things: Iterable[T], label: str) -> Any:
    """A progress bar around an iterable, on stderr, and only where someone looks."""
    return click.progressbar(things, label=label, file=sys.stderr, hidden=not sys.stderr.isatty(), show_pos=True)

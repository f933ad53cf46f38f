"""Fixtures of the command line tests."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lookalike.bootstrap import Services
from lookalike.cli import main
from tests.conftest import jpeg
from tests.sample_photos import sample_photo


def run(*arguments: str | Path) -> Result:
    """Run `lookalike` in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def folder(real: Services) -> Path:
    """Two photos, one broken, one of a format that is not accepted, and something else."""
    path = Path("photos")
    (path / "summer").mkdir(parents=True)
    (path / "dress.jpg").write_bytes(jpeg(sample_photo(3)))
    (path / "summer" / "dress.jpg").write_bytes(jpeg(sample_photo(8)))
    (path / "broken.jpg").write_bytes(jpeg(sample_photo(9))[:3000])
    sample_photo(4).save(path / "moving.gif")
    (path / "notes.txt").write_text("no photo")
    return path

"""The line at the end of a test run that tells how many tests need MariaDB."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.contracts import databases
from tests.skip_summary import MARIADB_MISSING, pytest_terminal_summary

ROOT = Path(__file__).parents[1]


def run_pytest(folder: Path, test: str, *options: str) -> str:
    """Run a file with one test, three times parametrized, in a process with the plugin. Return the output."""
    (folder / "test_file.py").write_text(
        "import pytest\nfrom tests.skip_summary import MARIADB_MISSING\n"
        f"@pytest.mark.parametrize('number', range(3))\ndef test_it(number):\n    {test}\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.skip_summary", "-p", "no:cacheprovider"]
    # PYTEST_* variables of the outer run would configure the inner one as an xdist worker.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # The other installed plugins take seconds to import.
    environment |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    result = subprocess.run([*command, *options], cwd=folder, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("options", [[], ["-p", "xdist", "--numprocesses", "1"]], ids=["one-process", "xdist"])
def test_summary_counts_tests_skipped_without_mariadb(tmp_path: Path, options: list[str]) -> None:
    output = run_pytest(tmp_path, "pytest.skip(MARIADB_MISSING if number else 'another reason')", *options)
    assert "3 skipped" in output
    assert f"2 tests were skipped. {MARIADB_MISSING}" in output.splitlines()
    assert "`apt-get install mariadb-server`" in output


def test_summary_is_silent_without_such_skips(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "number or pytest.skip('another reason')")
    assert "2 passed, 1 skipped" in output and "MariaDB" not in output


def test_database_tests_are_skipped_for_this_reason_without_mariadb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_MYSQL_URL", raising=False)
    monkeypatch.setenv("PATH", "")
    # Without the cache, which may hold the URL of a running server.
    monkeypatch.setattr(databases, "local_server_url", databases.local_server_url.__wrapped__)
    with pytest.raises(pytest.skip.Exception) as raised:
        databases.mysql_server_url()
    assert raised.value.msg == MARIADB_MISSING


def test_summary_is_registered_for_all_tests() -> None:
    assert conftest.pytest_terminal_summary is pytest_terminal_summary

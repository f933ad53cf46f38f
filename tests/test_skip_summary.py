"""The line at the end of a test run that tells how many tests need MariaDB."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ["tests/contracts/test_attempts.py", "-k", "counts_each_key"]


def run_pytest(*options: str, **environment: str) -> str:
    """Run one contract test, which has a variant for MariaDB. Return the output."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS, *options]
    # PYTEST_* variables of the outer run would configure the inner one as an xdist worker.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TEST_MYSQL"))}
    result = subprocess.run(command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True, check=True)
    return result.stdout


def test_run_without_mariadb_reports_the_skipped_tests(tmp_path: Path) -> None:
    for options in ([], ["--numprocesses", "1"]):
        output = run_pytest(*options, PATH=str(tmp_path))
        assert "2 passed, 1 skipped" in output
        assert re.search(r"^1 test was skipped\. MariaDB is missing: .*`apt-get install mariadb-server`", output, re.M)


def test_run_without_skipped_mariadb_tests_reports_nothing() -> None:
    output = run_pytest("--deselect", "tests/contracts/test_attempts.py::test_add_attempt_counts_each_key[mysql]")
    assert "MariaDB is missing" not in output and "2 passed" in output

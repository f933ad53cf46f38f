"""Pytest plugin: count the tests that were skipped because MariaDB is missing. Without it, such a run looks complete."""

import pytest

MARIADB_MISSING = "MariaDB is missing: install it by `apt-get install mariadb-server`, or set TEST_MYSQL_URL"
"""The reason of all skips of tests that need a MySQL or MariaDB server."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the number of skipped tests at the end of a run."""
    skipped = terminalreporter.getreports("skipped")
    count = sum(MARIADB_MISSING in str(report.longrepr) for report in skipped)
    if count:
        tests = "1 test was" if count == 1 else f"{count} tests were"
        terminalreporter.write_line(f"{tests} skipped. {MARIADB_MISSING}", yellow=True, bold=True)

"""Summary of tests that were skipped because MariaDB is missing. Without it, a run would look complete."""

from collections.abc import Iterable

import pytest

MARIADB_MISSING = "MariaDB is missing: install it by `apt-get install mariadb-server`, or set TEST_MYSQL_URL"
"""The reason of all skips of tests that need a MySQL or MariaDB server."""


def mariadb_summary(skipped: Iterable[pytest.TestReport]) -> str | None:
    """Return a line with the number of tests skipped because MariaDB is missing, or `None` if there are none."""
    count = sum(MARIADB_MISSING in str(report.longrepr) for report in skipped)
    if not count:
        return None
    return f"{count} {'test was' if count == 1 else 'tests were'} skipped. {MARIADB_MISSING}"

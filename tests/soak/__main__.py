"""`make soak`: run clients against a server that is killed in between, check everything, and write a report."""

import argparse
import sys
import tempfile
from pathlib import Path

import pytest

from tests.soak.report import write_report
from tests.soak.run import Options, run_soak

REPORT = Path(".lookalike/soak.html")
MAX_SHOWN = 10
"""Problems of a check that are printed. The report has more."""


def main() -> None:
    """Run the test. The exit status is 1 if a check fails, and 2 if MariaDB is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=Options.minutes, help="duration of the load (default: 10)")
    parser.add_argument("--clients", type=int, default=Options.clients, help="concurrent clients (default: 32)")
    parser.add_argument("--seed", type=int, default=Options.seed, help="seed of photos and clients (default: 1)")
    parser.add_argument("--report", type=Path, default=REPORT, help=f"HTML file to write (default: {REPORT})")
    arguments = parser.parse_args()
    options = Options(arguments.minutes, arguments.clients, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = run_soak(options, Path(folder))
        except pytest.skip.Exception as skipped:
            print(skipped)
            sys.exit(2)
    write_report(result, arguments.report)
    for check in result.checks:
        print(f"{'BAD' if check.problems else 'ok '}  {check.claim} ({check.tested})")
        for problem in check.problems[:MAX_SHOWN]:
            print(f"       {problem}")
    print(f"Report: {arguments.report}")
    sys.exit(1 if result.failed else 0)


if __name__ == "__main__":
    main()

"""The soak test for one minute. `make soak` runs it for longer."""

from pathlib import Path

import pytest

from tests.soak.report import write_report
from tests.soak.run import Options, run_soak


@pytest.mark.slow
def test_minute_of_load_with_kills_passes_all_checks(tmp_path: Path) -> None:
    result = run_soak(Options(minutes=1, clients=12), tmp_path)
    write_report(result, tmp_path / "soak.html")
    assert len(result.kills) >= 2 and len(result.checks) >= 17
    assert {check.claim: check.problems[:10] for check in result.failed} == {}

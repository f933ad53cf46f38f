"""Tests that the reference packages have the pinned versions.

Without them this test is skipped, and conftest.py leaves out the other tests of this folder.
"""

import re
from importlib.metadata import requires, version

import pytest

PINNED = re.compile(r"([\w-]+)==([\w.]+); extra == .reference.")


def test_the_reference_packages_have_the_pinned_versions() -> None:
    pytest.importorskip("groundingdino", reason="`make test-full` installs the packages that tests/full needs")
    pinned = {match[1]: match[2] for line in requires("lookalike") or [] if (match := PINNED.match(line))}
    assert {"rf-groundingdino", "transformers"} <= set(pinned)
    assert {name: version(name) for name in pinned} == pinned

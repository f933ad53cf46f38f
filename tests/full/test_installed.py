"""What the full models are compared with; skips in plain sight where it is missing, and the other tests of this folder with it."""

import re
from importlib.metadata import requires, version

import pytest

PIN = re.compile(r"([\w-]+)==([\w.]+); extra == .reference.")


def test_the_packages_are_those_that_are_pinned() -> None:
    pytest.importorskip("groundingdino", reason="`make test-full` installs what the tests in tests/full need")
    pinned = {found[1]: found[2] for line in requires("lookalike") or [] if (found := PIN.match(line))}
    assert set(pinned) == {"rf-groundingdino", "transformers"}
    assert {name: version(name) for name in pinned} == pinned

"""Says in plain sight that the tests of this folder are left out where their libraries are missing."""

import pytest


def test_what_the_full_models_are_compared_with_is_installed() -> None:
    pytest.importorskip("groundingdino", reason="`make test-full` installs what the tests in tests/full need")

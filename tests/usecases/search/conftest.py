"""Fixtures of the search tests."""

import pytest

from tests.usecases.search.harness import SearchHarness


@pytest.fixture
def harness() -> SearchHarness:
    """Return a harness with three photos, named like their colors."""
    created = SearchHarness()
    for color in ("red", "green", "blue"):
        created.add_photo(color, color)
    return created

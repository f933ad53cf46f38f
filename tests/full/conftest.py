"""Fixtures of the full models' tests: random weights in the published shapes, and in small ones.

Without the extra `reference`, only test_installed.py is collected.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.full.model_pair import ModelPair

if find_spec("groundingdino") is None:
    collect_ignore_glob = ["test_[!i]*.py"]


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory) -> "ModelPair":
    """A pair of small networks."""
    from tests.full.model_pair import ModelPair
    from tests.full.reference_models import TINY

    return ModelPair.make(TINY, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def full_size_pair(weights: Path) -> "ModelPair":
    """A pair of networks of the published size."""
    from lookalike.adapters.grounding_dino.config import SWIN_T
    from tests.full.model_pair import ModelPair

    return ModelPair.load(SWIN_T, weights)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights in the published shapes and file names."""
    from tests.full.reference_models import write_weights

    return write_weights(tmp_path_factory.mktemp("weights"))

"""Made-up weights of the published shapes, and small ones. Nothing else here is collected without the extra `reference`."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.full.model_pair import ModelPair

if find_spec("groundingdino") is None:
    collect_ignore = ["test_detector.py", "test_faithful.py", "test_served.py"]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> "ModelPair":
    from tests.full.model_pair import ModelPair
    from tests.full.reference_models import TINY

    return ModelPair.make(TINY, tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def swin(weights: Path) -> Iterator["ModelPair"]:
    from lookalike.adapters.grounding_dino.config import SWIN_T
    from tests.full.model_pair import ModelPair

    yield ModelPair.load(SWIN_T, weights)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with made-up weights of the published shapes, under the published names."""
    from tests.full.reference_models import write_weights

    return write_weights(tmp_path_factory.mktemp("weights"))

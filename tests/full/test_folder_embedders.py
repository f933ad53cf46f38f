"""Embedders of folders against transformers: the same pixels, tokens and vectors for images of many sizes and texts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lookalike.adapters.folder_models.embedder import FolderTextEmbedder, open_embedder
from lookalike.adapters.folder_models.files import read_json
from lookalike.adapters.folder_models.preprocessing import parse_preprocessing
from lookalike.domain.cancel import CancelToken
from lookalike.domain.ports import Embedder, TextEmbedder
from tests.contracts.models import EMBEDDER_CONTRACT, TEXT_EMBEDDER_CONTRACT
from tests.full.exported_embedders import FAMILIES, WITH_TEXTS, ExportedEmbedder
from tests.sample_photos import sample_photo

MIN_COSINE = 0.9999
MAX_PIXEL_ERROR = 1e-5
SIZES = [(600, 900), (901, 500), (48, 48), (47, 61), (20, 31), (333, 777), (1200, 60), (5, 300), (2, 2)]
"""Width and height: portrait, landscape, exact, odd, enlarged, and very narrow."""
TEXTS = [
    "a red summer dress of wool",
    "Black LEATHER boots, with a zip!",
    "T-shirt: 50% off",
    "  two   spaces\nand a line break ",
    "über café 👗",
    "boots",
    "",
    "a photo of 2 winter coats & bags " * 30,
]


@pytest.fixture(scope="module", params=FAMILIES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExportedEmbedder:
    return FAMILIES[request.param](tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module", params=WITH_TEXTS)
def exported_with_texts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExportedEmbedder:
    return FAMILIES[request.param](tmp_path_factory.mktemp("exported"))


def images() -> list[Image.Image]:
    """Return images of all sizes and modes."""
    sized = [sample_photo(seed, outfit=seed % 2 == 0).resize(size) for seed, size in enumerate(SIZES)]
    return sized + [sample_photo(20).resize((200, 333)).convert(mode) for mode in ("L", "P", "RGBA", "CMYK", "1")]


def cosines(vectors: np.ndarray, expected: torch.Tensor) -> np.ndarray:
    unit = torch.nn.functional.normalize(expected.double(), dim=1).numpy()
    return np.asarray((vectors * unit).sum(1))


def text_embedder(folder: Path) -> FolderTextEmbedder:
    embedder = open_embedder(folder, "", "tiny")
    assert isinstance(embedder, FolderTextEmbedder)
    return embedder


def test_pixels_equal_those_of_the_image_processor(exported: ExportedEmbedder) -> None:
    preprocessing = parse_preprocessing(read_json(exported.folder, "preprocessor_config.json"), "")
    pixels = np.stack([preprocessing.apply(image) for image in images()])
    assert np.abs(pixels - exported.pixels(images()).numpy()).max() < MAX_PIXEL_ERROR


def test_vectors_equal_those_of_the_library(exported: ExportedEmbedder) -> None:
    vectors, expected = (
        open_embedder(exported.folder, "", "tiny").embed(images(), CancelToken()),
        exported.embed(images()),
    )
    assert cosines(vectors, expected).min() >= MIN_COSINE
    # the comparison means something only if vectors of different images differ by much more
    between = vectors[: len(SIZES)] @ vectors[: len(SIZES)].T
    assert between[np.triu_indices(len(between), 1)].min() < 0.9


def test_texts_equal_those_of_the_library(exported_with_texts: ExportedEmbedder) -> None:
    """SigLIP 2 was trained on lower case, which the library leaves to the caller."""
    is_gemma = "Gemma" in type(exported_with_texts.tokenizer).__name__
    embedder = text_embedder(exported_with_texts.folder)
    vectors = embedder.embed_texts(TEXTS, CancelToken())
    expected = exported_with_texts.embed_texts([text.lower() for text in TEXTS] if is_gemma else TEXTS)
    assert cosines(vectors, expected).min() >= MIN_COSINE
    assert (vectors @ vectors.T)[np.triu_indices(len(TEXTS), 1)].max() < 0.999


def test_similarities_of_images_and_texts_equal_those_of_the_library(exported_with_texts: ExportedEmbedder) -> None:
    embedder, photos, texts = text_embedder(exported_with_texts.folder), images()[:3], ["a red dress", "black boots"]
    similarities = embedder.embed_texts(texts, CancelToken()) @ embedder.embed(photos, CancelToken()).T
    rows = (exported_with_texts.embed_texts(texts), exported_with_texts.embed(photos))
    expected_texts, expected_photos = (torch.nn.functional.normalize(row) for row in rows)
    assert np.abs(similarities - (expected_texts @ expected_photos.T).numpy()).max() < 1e-3


@pytest.mark.parametrize("check", EMBEDDER_CONTRACT, ids=lambda check: check.__name__)
def test_embedder_contract(exported: ExportedEmbedder, check: Callable[[Embedder], None]) -> None:
    check(open_embedder(exported.folder, "", "tiny"))


@pytest.mark.parametrize("check", TEXT_EMBEDDER_CONTRACT, ids=lambda check: check.__name__)
def test_text_embedder_contract(exported_with_texts: ExportedEmbedder, check: Callable[[TextEmbedder], None]) -> None:
    check(text_embedder(exported_with_texts.folder))

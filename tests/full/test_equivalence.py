"""Each stage of our GroundingDINO against the package's own, fed with the same; and the whole against its `predict`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from groundingdino.datasets import transforms
from groundingdino.util.inference import predict
from PIL import Image
from torch import Tensor
from torchvision.models import ResNet50_Weights

from lookalike.adapters import dinov2, resnet50
from lookalike.adapters.crops import crop_to_square
from lookalike.adapters.grounding_dino.phrases import TEXT_THRESHOLD, best_phrase, garment_kind, join_words
from lookalike.adapters.grounding_dino.text import MAX_TOKENS
from lookalike.adapters.grounding_dino.tiling import network_size
from lookalike.adapters.pytorch import Engine, normalize_pixels
from lookalike.adapters.weights import DINOV2, RESNET50
from tests.full import reference_models
from tests.full.model_pair import PROMPT, ModelPair, relative_difference
from tests.sample_photos import sample_photo

CPU = torch.device("cpu")
EXACT, ROUGH = 1e-4, 3e-2
"""Relative L2 norm that float32 and lower precision may differ by."""
SIZES = [(224, 224), (203, 314), (97, 480)]


def alive() -> None:
    pass


def noise(height: int, width: int, count: int = 1) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(height))


@torch.inference_mode()
def differences(pair: ModelPair, pixels: Tensor, dtype: torch.dtype) -> dict[str, float]:
    """How far each of our stages is from the package's, both fed with what the package's stage before gave."""
    theirs, ours = pair.run_reference(pixels), pair.build(dtype)
    text = ours.encode_prompt(pair.prompt)
    maps = ours.extract_features(pixels, alive)
    encoded = ours.encode([one.to(dtype) for one in theirs.maps], text, alive)
    queries = ours.select_queries(theirs.encoder_output)
    fits, boxes = ours.decode(theirs.queries, theirs.encoder_output, alive)
    return {
        "text": relative_difference(text.words, theirs.text_features),
        "backbone": max(relative_difference(*both) for both in zip(maps, theirs.maps, strict=True)),
        "encoder, cells": relative_difference(encoded.image_features, theirs.encoder_output.image_features),
        "encoder, words": relative_difference(encoded.text_features, theirs.encoder_output.text_features),
        "queries": relative_difference(queries.boxes.sigmoid(), theirs.queries.boxes.sigmoid()),
        "scores": relative_difference(fits, theirs.logits),
        "boxes": relative_difference(boxes, theirs.boxes),
    }


@pytest.mark.parametrize("size", SIZES)
def test_every_stage_is_the_packages(tiny: ModelPair, size: tuple[int, int]) -> None:
    found = differences(tiny, noise(*size), torch.float32)
    assert max(found.values()) < EXACT, found


@pytest.mark.parametrize("dtype", [torch.bfloat16])
@pytest.mark.parametrize("size", SIZES)
def test_lower_precision_stays_near(tiny: ModelPair, size: tuple[int, int], dtype: torch.dtype) -> None:
    found = differences(tiny, noise(*size), dtype)
    assert max(found.values()) < ROUGH, found


@pytest.mark.slow
def test_every_stage_is_the_packages_at_full_size(swin: ModelPair) -> None:
    found = differences(swin, noise(800, 1066), torch.float32)
    assert max(found.values()) < EXACT, found
    found = differences(swin, noise(800, 1066), torch.bfloat16)
    assert max(found.values()) < ROUGH, found


def test_photos_of_a_batch_do_not_touch(tiny: ModelPair) -> None:
    ours, pixels = tiny.build(), noise(203, 314, 3)
    with torch.inference_mode():
        text = ours.encode_prompt(tiny.prompt)
        scores, boxes = ours(pixels, text, alive)
        alone = [ours(one[None], text, alive) for one in pixels]
    for number, (alone_scores, alone_boxes) in enumerate(alone):
        assert (
            relative_difference(scores[number], alone_scores[0]) < EXACT
            and relative_difference(boxes[number], alone_boxes[0]) < EXACT
        )


@pytest.mark.parametrize("threshold", [0.15, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_the_whole_is_the_packages_predict(tiny: ModelPair, seed: int, threshold: float) -> None:
    """From a photo to boxes, scores and phrases, with the package's own preparation of photos on its side."""
    photo = sample_photo(seed, outfit=True)
    prepare = transforms.Compose(
        [
            transforms.RandomResize([800], max_size=1333),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    told = [predict(tiny.reference, prepare(photo, None)[0], PROMPT, threshold, 0.25, "cpu", c) for c in (False, True)]
    shrunk = np.asarray(photo.resize(network_size(*photo.size), Image.Resampling.BILINEAR), np.uint8)
    ours, words = tiny.build(), tiny.tokenizer
    with torch.inference_mode():
        pixels = normalize_pixels(np.stack([shrunk]), Engine(CPU, torch.float32))
        scores, boxes = (one[0] for one in ours(pixels, ours.encode_prompt(tiny.prompt), alive))
    sure = scores.amax(1) > threshold
    assert sure.any()
    torch.testing.assert_close(boxes[sure], told[0][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores[sure].amax(1), told[0][1], atol=1e-4, rtol=1e-4)
    whole = [join_words(row, tiny.prompt, words, TEXT_THRESHOLD, 0, MAX_TOKENS - 1) for row in scores[sure]]
    assert whole == told[0][2]
    best = [best_phrase(row, tiny.prompt, words) for row in scores[sure]]
    # where no word is sure enough the package says nothing, and we say the whole phrase
    assert all(ours == theirs or (not theirs and ours) for ours, theirs in zip(best, told[1][2], strict=True))


def test_word_pieces_are_berts(tiny: ModelPair) -> None:
    for text in ("Shirt. Red DRESS ", "shoes . hats ?", "scarf", "unheard of . a bag."):
        prompt = tiny.tokenizer.tokenize(text)
        theirs = tiny.reference.tokenizer(prompt.text)["input_ids"]
        assert prompt.token_ids.tolist() == theirs
        assert tiny.tokenizer.decode(theirs) == tiny.reference.tokenizer.decode(theirs)


def test_a_prompt_of_too_many_words_is_refused(tiny: ModelPair) -> None:
    with pytest.raises(ValueError, match="257 word pieces"):
        tiny.tokenizer.tokenize("red " * 254)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ("shirt", "top"),
        ("red dress", "dress"),
        ("trousers pants", "trousers"),
        ("kimono", "kimono"),
        ("coat", "outerwear"),
    ],
)
def test_phrases_name_garment_kinds(found: str, kind: str) -> None:
    assert garment_kind(found) == kind


@pytest.mark.parametrize(("dtype", "least"), [(torch.float32, 0.999999), (torch.bfloat16, 0.9999)])
def test_resnet50_is_torchvisions(tmp_path: Path, dtype: torch.dtype, least: float) -> None:
    """Vectors of photos as torchvision's own preset prepares them."""
    theirs = reference_models.make_resnet50()
    torch.save(theirs.state_dict(), tmp_path / RESNET50.name)
    theirs.fc = torch.nn.Identity()
    engine, preset = Engine(CPU, dtype), ResNet50_Weights.IMAGENET1K_V1.transforms()
    photos = [sample_photo(seed, outfit=seed % 2 == 0) for seed in range(6)]
    photos += [photos[0].crop((0, 0, 40, 300)), photos[1].crop((0, 0, 255, 256))]
    with torch.inference_mode():
        wanted = theirs(torch.stack([preset(photo) for photo in photos]))
        rows = resnet50.open_network(tmp_path / RESNET50.name, engine)(
            normalize_pixels(np.stack([crop_to_square(p) for p in photos]), engine), alive
        )
    assert torch.nn.functional.cosine_similarity(rows.float(), wanted).min() > least


def test_dinov2_is_the_published_one(tmp_path: Path) -> None:
    """As transformers has it, at the size for which no places are interpolated; and near it at ours."""
    theirs = reference_models.make_dinov2()
    ours = dinov2.open_network(reference_models.save_dinov2(theirs, tmp_path / DINOV2.name), Engine(CPU, torch.float32))
    with torch.inference_mode():
        large, small = noise(518, 518), noise(224, 224, 3)
        assert relative_difference(ours(large, alive), theirs(large).pooler_output) < EXACT
        assert torch.nn.functional.cosine_similarity(ours(small, alive), theirs(small).pooler_output).min() > 0.99

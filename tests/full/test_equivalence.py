"""Tests that the full models compute what the reference implementations compute.

Each stage of GroundingDINO is compared with the reference's, both with the same input, and so is the whole.
"""

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
MAX_DIFFERENCE, MAX_DIFFERENCE_16_BIT = 1e-4, 3e-2
"""Largest relative difference from the reference in float32, and in 16-bit precision."""
SIZES = [(224, 224), (203, 314), (97, 480)]


def never_cancelled() -> None:
    pass


def random_pixels(height: int, width: int, count: int = 1) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(height))


@torch.inference_mode()
def stage_differences(pair: ModelPair, pixels: Tensor, dtype: torch.dtype) -> dict[str, float]:
    """Return the relative difference of each stage, whose input is the reference's output of the stage before."""
    reference, network = pair.run_reference(pixels), pair.build(dtype)
    text = network.encode_prompt(pair.prompt)
    maps = network.extract_features(pixels, never_cancelled)
    encoded = network.encode([level.to(dtype) for level in reference.maps], text, never_cancelled)
    expected = reference.encoder_output
    queries = network.select_queries(expected)
    logits, boxes = network.decode(reference.queries, expected, never_cancelled)
    return {
        "text": relative_difference(text.features, reference.text_features),
        "backbone": max(relative_difference(*levels) for levels in zip(maps, reference.maps, strict=True)),
        "encoder, image": relative_difference(encoded.image_features, expected.image_features),
        "encoder, text": relative_difference(encoded.text_features, expected.text_features),
        "queries": relative_difference(queries.boxes.sigmoid(), reference.queries.boxes.sigmoid()),
        "scores": relative_difference(logits, reference.logits),
        "boxes": relative_difference(boxes, reference.boxes),
    }


@pytest.mark.parametrize("size", SIZES)
def test_each_stage_equals_the_reference(tiny_pair: ModelPair, size: tuple[int, int]) -> None:
    differences = stage_differences(tiny_pair, random_pixels(*size), torch.float32)
    assert max(differences.values()) < MAX_DIFFERENCE, differences


@pytest.mark.parametrize("dtype", [torch.bfloat16])
@pytest.mark.parametrize("size", SIZES)
def test_16_bit_precision_is_close_to_the_reference(
    tiny_pair: ModelPair, size: tuple[int, int], dtype: torch.dtype
) -> None:
    differences = stage_differences(tiny_pair, random_pixels(*size), dtype)
    assert max(differences.values()) < MAX_DIFFERENCE_16_BIT, differences


@pytest.mark.slow
def test_each_stage_equals_the_reference_at_full_size(full_size_pair: ModelPair) -> None:
    differences = stage_differences(full_size_pair, random_pixels(800, 1066), torch.float32)
    assert max(differences.values()) < MAX_DIFFERENCE, differences
    differences = stage_differences(full_size_pair, random_pixels(800, 1066), torch.bfloat16)
    assert max(differences.values()) < MAX_DIFFERENCE_16_BIT, differences


def test_photos_of_a_batch_are_independent(tiny_pair: ModelPair) -> None:
    network, pixels = tiny_pair.build(), random_pixels(203, 314, 3)
    with torch.inference_mode():
        text = network.encode_prompt(tiny_pair.prompt)
        scores, boxes = network(pixels, text, never_cancelled)
        single = [network(photo[None], text, never_cancelled) for photo in pixels]
    for number, (single_scores, single_boxes) in enumerate(single):
        assert relative_difference(scores[number], single_scores[0]) < MAX_DIFFERENCE
        assert relative_difference(boxes[number], single_boxes[0]) < MAX_DIFFERENCE


@pytest.mark.parametrize("threshold", [0.15, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_boxes_scores_and_phrases_equal_those_of_predict(tiny_pair: ModelPair, seed: int, threshold: float) -> None:
    """Compare with the reference's `predict`, whose input is prepared by the reference's own transforms."""
    photo = sample_photo(seed, outfit=True)
    prepare = transforms.Compose(
        [
            transforms.RandomResize([800], max_size=1333),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    prepared = prepare(photo, None)[0]
    predictions = [
        predict(tiny_pair.reference, prepared, PROMPT, threshold, TEXT_THRESHOLD, "cpu", remove_combined)
        for remove_combined in (False, True)
    ]
    resized = np.asarray(photo.resize(network_size(*photo.size), Image.Resampling.BILINEAR), np.uint8)
    network, tokenizer = tiny_pair.build(), tiny_pair.tokenizer
    with torch.inference_mode():
        pixels = normalize_pixels(np.stack([resized]), Engine(CPU, torch.float32))
        outputs = network(pixels, network.encode_prompt(tiny_pair.prompt), never_cancelled)
    scores, boxes = (output[0] for output in outputs)
    is_kept = scores.amax(1) > threshold
    assert is_kept.any()
    expected_boxes, expected_scores, all_words = predictions[0]
    torch.testing.assert_close(boxes[is_kept], expected_boxes, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(scores[is_kept].amax(1), expected_scores, atol=1e-4, rtol=1e-4)
    prompt = tiny_pair.prompt
    joined = [join_words(row, prompt, tokenizer, TEXT_THRESHOLD, 0, MAX_TOKENS - 1) for row in scores[is_kept]]
    assert joined == all_words
    phrases = [best_phrase(row, prompt, tokenizer) for row in scores[is_kept]]
    # if no word passes the threshold, the reference returns an empty text and lookalike the whole phrase
    pairs = zip(phrases, predictions[1][2], strict=True)
    assert all(phrase == expected or (not expected and phrase) for phrase, expected in pairs)


def test_word_pieces_equal_those_of_bert(tiny_pair: ModelPair) -> None:
    for text in ("Shirt. Red DRESS ", "shoes . hats ?", "scarf", "unheard of . a bag."):
        prompt = tiny_pair.tokenizer.tokenize(text)
        expected = tiny_pair.reference.tokenizer(prompt.text)["input_ids"]
        assert prompt.token_ids.tolist() == expected
        assert tiny_pair.tokenizer.decode(expected) == tiny_pair.reference.tokenizer.decode(expected)


def test_a_prompt_with_too_many_tokens_raises(tiny_pair: ModelPair) -> None:
    with pytest.raises(ValueError, match="257 word pieces; the limit is 256"):
        tiny_pair.tokenizer.tokenize("red " * 254)


@pytest.mark.parametrize(
    ("phrase", "kind"),
    [
        ("shirt", "top"),
        ("red dress", "dress"),
        ("trousers pants", "trousers"),
        ("kimono", "kimono"),
        ("coat", "outerwear"),
    ],
)
def test_phrases_map_to_garment_kinds(phrase: str, kind: str) -> None:
    assert garment_kind(phrase) == kind


@pytest.mark.parametrize(("dtype", "min_cosine"), [(torch.float32, 0.999999), (torch.bfloat16, 0.9999)])
def test_resnet50_equals_torchvision(tmp_path: Path, dtype: torch.dtype, min_cosine: float) -> None:
    """Compare vectors of photos, which torchvision's own preset prepares for the reference."""
    reference = reference_models.make_resnet50()
    torch.save(reference.state_dict(), tmp_path / RESNET50.name)
    reference.fc = torch.nn.Identity()
    engine, preset = Engine(CPU, dtype), ResNet50_Weights.IMAGENET1K_V1.transforms()
    photos = [sample_photo(seed, outfit=seed % 2 == 0) for seed in range(6)]
    photos += [photos[0].crop((0, 0, 40, 300)), photos[1].crop((0, 0, 255, 256))]
    network = resnet50.open_network(tmp_path / RESNET50.name, engine)
    with torch.inference_mode():
        expected = reference(torch.stack([preset(photo) for photo in photos]))
        pixels = normalize_pixels(np.stack([crop_to_square(photo) for photo in photos]), engine)
        vectors = network(pixels, never_cancelled)
    assert torch.nn.functional.cosine_similarity(vectors.float(), expected).min() > min_cosine


def test_dinov2_equals_transformers(tmp_path: Path) -> None:
    """Exact at 518 pixels, where positions are not interpolated. At 224, transformers interpolates in another way."""
    reference = reference_models.make_dinov2()
    checkpoint = reference_models.save_dinov2(reference, tmp_path / DINOV2.name)
    network = dinov2.open_network(checkpoint, Engine(CPU, torch.float32))
    large, small = random_pixels(518, 518), random_pixels(224, 224, 3)
    with torch.inference_mode():
        expected = reference(large).pooler_output
        assert relative_difference(network(large, never_cancelled), expected) < MAX_DIFFERENCE
        vectors = network(small, never_cancelled)
        assert torch.nn.functional.cosine_similarity(vectors, reference(small).pooler_output).min() > 0.99

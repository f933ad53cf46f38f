"""Networks: a narrow residual backbone (He et al., 2016), a feature pyramid (Lin et al., 2017), and an embedding head.

Attribute names are keys of the checkpoints.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

WIDTH, DEPTHS, PYRAMID = 32, (2, 3, 4, 2), 64
"""Channels of the first stage, residual blocks of each stage, and channels of the feature pyramid."""
CATEGORY, GARMENT = 64, 128
"""Numbers of the category features and of the garment features."""


def conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Return a convolution, batch normalization and ReLU."""
    layer = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(True))


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """Return the projection of a block's input to the shape of its output, or `None` if they are equal."""
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def stage(inputs: int, outputs: int, stride: int, depth: int) -> nn.Sequential:
    """Return `depth` residual blocks, the first of which has the stride."""
    first = BasicBlock(inputs, outputs, stride, shortcut(inputs, outputs, stride))
    return nn.Sequential(first, *(BasicBlock(outputs, outputs) for _ in range(depth - 1)))


class Backbone(nn.Module):
    """Extracts features at strides 4, 8, 16 and 32, with 1, 2, 4 and 8 times WIDTH channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, WIDTH, stride=2), conv(WIDTH, WIDTH, stride=2))
        widths = (WIDTH, WIDTH, WIDTH * 2, WIDTH * 4, WIDTH * 8)
        parts = zip(widths, widths[1:], (1, 2, 2, 2), DEPTHS, strict=False)
        self.stages = nn.ModuleList(stage(*part) for part in parts)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Map normalized images (n, 3, H, W) to features (n, c, H / stride, W / stride), the finest first."""
        features = [self.stem(images)]
        for layer in self.stages:
            features.append(layer(features[-1]))
        return features[1:]


def normalize_pixels(pixels: Tensor) -> Tensor:
    """Convert uint8 (n, H, W, 3) to float (n, 3, H, W), between -2 and 2."""
    return (pixels.float().permute(0, 3, 1, 2) - 128.0) / 64.0


class DetectorNetwork(nn.Module):
    """Segmentation network with photo-level and edge outputs."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.laterals = nn.ModuleList(nn.Conv2d(WIDTH * factor, PYRAMID, 1) for factor in (1, 2, 4, 8))
        self.context = nn.Linear(WIDTH * 8, PYRAMID)
        self.middle, self.fine = conv(PYRAMID, PYRAMID), conv(PYRAMID, PYRAMID)
        self.classes = nn.Conv2d(PYRAMID, classes, 1)
        self.edges = nn.Sequential(conv(PYRAMID, PYRAMID), conv(PYRAMID, PYRAMID), nn.Conv2d(PYRAMID, 4, 1))
        self.photo = nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDTH * 8, 11))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map uint8 photos (n, H, W, 3) to three outputs.

        Class logits (n, classes, H/4, W/4); logits of each kind's presence and of wearing (n, 11); and raw edge
        distances (n, 4, H/8, W/8), which `boxes.to_distances` converts.
        """
        features = self.backbone(normalize_pixels(pixels))
        pooled = features[3].mean((2, 3))
        level = self.laterals[3](features[3]) + self.context(pooled)[:, :, None, None]
        level = self.middle(self.up(level, features[2], 2))
        level = self.up(level, features[1], 1)
        edges: Tensor = self.edges(level)
        level = self.fine(self.up(level, features[0], 0))
        masks: Tensor = self.classes(level)
        return masks, self.photo(pooled), edges

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
        self.backbone = Backbone()
        self.category = nn.Linear(WIDTH * 16, CATEGORY)
        self.instance = nn.Linear(WIDTH * 16, GARMENT)

    def pooled(self, pixels: Tensor) -> Tensor:
        """Return mean features of the whole image and of the garment, joined: (n, 16 * WIDTH)."""
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
        self.labels = nn.Linear(WIDTH * 16, labels)
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

"""Dimensions of GroundingDINO. Only the published configuration is deployed; tests use a smaller one."""

from dataclasses import dataclass

EMBED_DIM, HEADS, LEVELS, POINTS = 256, 8, 4, 4
"""Dimension of image, text and query features; attention heads; feature maps; sampling points of a head on each map."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """GroundingDINO_SwinT_OGC of IDEA-Research/GroundingDINO, with its bert-base-uncased (the defaults)."""

    swin_width: int = 96
    swin_depths: tuple[int, ...] = (2, 2, 6, 2)
    swin_heads: tuple[int, ...] = (3, 6, 12, 24)
    window: int = 7
    encoder_layers: int = 6
    decoder_layers: int = 6
    feed_forward: int = 2048
    queries: int = 900
    vocabulary: int = 30522
    text_width: int = 768
    text_layers: int = 12
    text_heads: int = 12
    text_feed_forward: int = 3072

    @property
    def swin_widths(self) -> list[int]:
        """Feature dimension of each stage of the backbone."""
        return [self.swin_width * 2**stage for stage in range(len(self.swin_depths))]


SWIN_T = ModelConfig()

"""How large the network is. Only the published one is in use; tests build smaller ones."""

from dataclasses import dataclass

WIDTH, HEADS, LEVELS, POINTS = 256, 8, 4, 4
"""Numbers a cell, a query or a word has in the transformer; heads; maps it looks at; points a head looks at in each map."""


@dataclass(frozen=True, slots=True)
class Shape:
    """GroundingDINO_SwinT_OGC of IDEA-Research/GroundingDINO, and the bert-base-uncased inside it."""

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
        """Numbers of each stage's cells."""
        return [self.swin_width * 2**stage for stage in range(len(self.swin_depths))]


SWIN_T = Shape()

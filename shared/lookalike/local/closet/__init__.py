"""A closet of drawn garments: photographs to try the system with, without any real ones."""

from lookalike.local.closet.folder import draw_closet
from lookalike.local.closet.scene import Drawn, Garment, draw_scene

__all__ = ["Drawn", "Garment", "draw_closet", "draw_scene"]

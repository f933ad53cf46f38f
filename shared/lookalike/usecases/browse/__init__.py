"""Browsing: sorted pages of stored garments and products, with filters, facets and totals."""

from lookalike.usecases.browse.browse import Browse
from lookalike.usecases.browse.request import BrowseRequest
from lookalike.usecases.browse.result import BrowsedGarment, BrowsedProduct, GarmentPage, ProductPage, View

__all__ = [
    "Browse",
    "BrowseRequest",
    "BrowsedGarment",
    "BrowsedProduct",
    "GarmentPage",
    "ProductPage",
    "View",
]

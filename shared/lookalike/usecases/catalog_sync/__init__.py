"""Synchronization of the catalog with a product feed."""

from lookalike.usecases.catalog_sync.pictures import ProductPictures
from lookalike.usecases.catalog_sync.report import SyncOptions, SyncReport
from lookalike.usecases.catalog_sync.sync import CatalogSync

__all__ = ["CatalogSync", "ProductPictures", "SyncOptions", "SyncReport"]

"""Synchronization of the catalog with a product feed."""

from lookalike.usecases.catalog_sync.feeds import FeedRequest, FeedSync
from lookalike.usecases.catalog_sync.pictures import ProductPictures
from lookalike.usecases.catalog_sync.report import SyncOptions, SyncReport
from lookalike.usecases.catalog_sync.sync import CatalogSync

__all__ = ["CatalogSync", "FeedRequest", "FeedSync", "ProductPictures", "SyncOptions", "SyncReport"]

"""Build what synchronizes the catalog with product feeds."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

from lookalike import images
from lookalike.bootstrap.feed_sources import FeedSources
from lookalike.bootstrap.index import utc_now
from lookalike.bootstrap.lazy import lazy
from lookalike.bootstrap.web import WebServices, open_feeds
from lookalike.domain.cancel import CancelToken
from lookalike.domain.ports import ObjectStore
from lookalike.domain.ports.pictures import Validators
from lookalike.domain.ports.transfer import CatalogTransfer
from lookalike.usecases.browse import Browse
from lookalike.usecases.catalog_sync import CatalogSync, FeedSync, ProductPictures
from lookalike.usecases.claims import Claims
from lookalike.usecases.edit_product import EditProduct
from lookalike.usecases.import_catalog import ImportCatalog
from lookalike.usecases.ingest import Ingest
from lookalike.usecases.jobs import Jobs
from lookalike.usecases.leases import LEASE_SECONDS, Leases
from lookalike.usecases.name_claims import NameClaims
from lookalike.usecases.segments import Segments

if TYPE_CHECKING:
    from lookalike.adapters.catalog import SqlCatalog


class ProductServices(WebServices):
    """The part of the services about products of feeds."""

    if TYPE_CHECKING:
        _sql_catalog: SqlCatalog
        store: ObjectStore
        ingest: Ingest
        segments: Segments
        jobs: Jobs

        @property
        def _signing_key(self) -> bytes:
            """Key of the cursors."""

        def open_store(self, address: str) -> ObjectStore:
            """Open the bucket at an address."""

        @property
        def _embedder_name_and_dim(self) -> tuple[str, int]: ...

        @property
        def _notify_external_index(self) -> Callable[[], object]: ...

    @lazy
    def catalog_sync(self) -> CatalogSync:
        """Synchronizes the catalog with product feeds. Loads the models only for pictures that have to be stored."""
        from lookalike.adapters.store_pictures import PicturesByScheme, StorePictures

        fetcher = PicturesByScheme(StorePictures(self.open_store, images.MAX_BYTES), self.pictures)
        catalog = self._sql_catalog
        pictures = ProductPictures(catalog, fetcher, lambda: self.ingest)
        return CatalogSync(catalog, catalog, self.segments, pictures, self.leases, utc_now)

    @lazy
    def edit_product(self) -> EditProduct:
        """Edits fields of products."""
        from lookalike.adapters.product_feeds import read_columns

        return EditProduct(self._sql_catalog, self._sql_catalog, read_columns, utc_now)

    @lazy
    def leases(self) -> Leases:
        """Excludes processes from doing the same long work at the same time."""
        return Leases(self._claims(LEASE_SECONDS))

    def _claims(self, seconds: float) -> Claims:
        from lookalike.adapters import process_identity

        holder = process_identity.process_identity(), process_identity.is_process_gone
        return Claims(self.store, timedelta(seconds=seconds), *holder)

    @property
    def transfer(self) -> CatalogTransfer:
        """Reads the whole catalog for an export."""
        return self._sql_catalog

    @lazy
    def import_catalog(self) -> ImportCatalog:
        """Imports a catalog that was exported elsewhere. Loads no models."""
        claims = NameClaims(self._claims(self.settings.request_timeout), self.store, self._sql_catalog)
        model = self._embedder_name_and_dim
        return ImportCatalog(self._sql_catalog, self.store, claims, self.leases, *model, self._notify_external_index)

    @lazy
    def browse(self) -> Browse:
        """Lists garments and products."""
        catalog = self._sql_catalog
        return Browse(catalog, catalog, catalog, self._signing_key)

    @property
    def feeds(self) -> FeedSync:
        """Synchronizes the catalog with feeds at addresses."""
        sources = FeedSources(self.fetch_feed, self.open_store)
        close = self.close_picture_connections
        return FeedSync(sources.open_lines, self.catalog_sync, self.notify, self.jobs, close)

    def fetch_feed(self, address: str, cancel: CancelToken) -> bytes:
        """Return the feed at an address on the web, from the hosts that PICTURE_HOSTS permits.

        Raises the same as `PictureFetcher.fetch`.
        """
        with closing(open_feeds(self.settings)) as feeds:
            fetched = feeds.fetch(address, Validators(), cancel)
        assert fetched is not None, "without validators, a server cannot answer that nothing has changed"
        return fetched.data

"""Pages of garments and products, and single products. Reads the catalog alone: no models, index or images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.domain.browse import OWN_PRODUCT_FIELDS
from lookalike.domain.errors import InvalidField, NotFound
from lookalike.domain.feed_columns import is_feed_column
from lookalike.domain.filter import NO_CONDITIONS, Filter, feed_conditions, garment_conditions, matches_filter
from lookalike.domain.model import Segment
from lookalike.domain.ports import BrowseCatalog, Catalog, Products
from lookalike.domain.stage_times import Stage, stage
from lookalike.domain.stored_product import StoredPicture, StoredProduct, feed_values
from lookalike.usecases.browse.conditions import read_text, select_garments, select_products
from lookalike.usecases.browse.pages import Pager
from lookalike.usecases.browse.request import BrowseRequest
from lookalike.usecases.browse.result import BrowsedGarment, BrowsedProduct, Facets, GarmentPage, ProductPage, View
from lookalike.usecases.explanation import details_for, details_keys
from lookalike.usecases.feed_columns import check_feed_columns
from lookalike.usecases.search.facets import count_facets
from lookalike.usecases.search.result import FacetValue
from lookalike.usecases.visibility import visible_segments

UNCOUNTED_FIELDS = ("created",)
"""Own fields of products that facets do not count."""


@dataclass(frozen=True, slots=True)
class Browse:
    """Lists garments and products. `cursor_key` signs the cursors of pages."""

    catalog: Catalog
    browse: BrowseCatalog
    products: Products
    cursor_key: bytes

    def list_garments(self, request: BrowseRequest) -> GarmentPage:
        """Return a page of the garments that satisfy the conditions of the request.

        Raises `InvalidField` for unknown columns of feeds, for words that are not understood and for cursors of other
        requests.
        """
        self._check_columns(request)
        if request.sort.field == "price" and feed_conditions(request.scope):
            # the order would tell of prices of products that the caller may not see
            raise InvalidField("sort: this API key cannot sort garments by price; sort products by it", field="sort")
        with stage(Stage.ROWS):
            meaning = read_text(request, self.catalog)
            selection = select_garments(request, meaning.conditions, self.catalog)
            selected = None if selection.row_ids is None else selection.row_ids.tolist()
            page = Pager("garments", self.browse.garment_positions, self.cursor_key).page(request, selected)
            total = self.browse.count_segments() if selected is None else len(selected)
            garments = self._read_garments(page.keys, request.scope)
        facets = count_facets(self.catalog, None, request.facets, selection, request.scope)
        return GarmentPage(page.cursor, total, facets, meaning.understood, meaning.ignored, garments)

    def list_products(self, request: BrowseRequest) -> ProductPage:
        """Return a page of the products that satisfy the conditions of the request. Raises as `list_garments`."""
        self._check_columns(request)
        check_product_facets(request.facets)
        with stage(Stage.ROWS):
            meaning = read_text(request, self.catalog)
            selected = select_products(request, meaning.conditions, self.catalog, self.browse)
            page = Pager("products", self.browse.product_positions, self.cursor_key).page(request, selected)
            total = self.browse.count_products() if selected is None else len(selected)
            products = self._read_products(page.keys, request.scope)
            facets = self._count_product_facets(request, selected)
        return ProductPage(page.cursor, total, facets, meaning.understood, meaning.ignored, products)

    def get_product(self, product_id: str, scope: Filter = NO_CONDITIONS) -> BrowsedProduct:
        """Return a product with all its views. Raises `NotFound`, also if the caller may not see it."""
        with stage(Stage.ROWS):
            stored = self.products.products([product_id]).get(product_id)
            if stored is None or not self._is_visible(stored, scope):
                raise NotFound(f"There is no product {product_id[:255]!r}")
            segments = [one for photo in sorted(stored.photos) for one in self.catalog.segments_of_photo(photo)]
            return self._to_products([stored], segments, scope)[0]

    def _is_visible(self, stored: StoredProduct, scope: Filter) -> bool:
        """Return whether the product satisfies the scope's conditions on products, and a garment of it all others."""
        if not matches_filter(feed_conditions(scope), feed_values(stored.product)):
            return False
        of_garments = garment_conditions(scope)
        segments = self.browse.segments_by_name(sorted(stored.garments)) if of_garments else []
        row_ids = [one.row_id for one in segments]
        return not of_garments or bool(self.catalog.matching_row_ids(None, of_garments, row_ids).size)

    def _check_columns(self, request: BrowseRequest) -> None:
        check_feed_columns(self.catalog, request.filter, request.scope, "filter")
        check_feed_columns(self.catalog, request.facets, request.scope, "facets")

    def _read_garments(self, row_ids: Sequence[int], scope: Filter) -> list[BrowsedGarment]:
        """Return garments in the order of `row_ids`. Skips garments that were deleted meanwhile."""
        found = self.catalog.segments(row_ids)
        return self._to_garments([found[row_id] for row_id in row_ids if row_id in found], scope)

    def _to_garments(self, segments: Sequence[Segment], scope: Filter) -> list[BrowsedGarment]:
        details = self.catalog.details(details_keys(segments))
        products = self.catalog.product_ids([row.name for row in segments], feed_conditions(scope))
        return [BrowsedGarment(row, products.get(row.name), details_for(row, details)) for row in segments]

    def _read_products(self, product_ids: Sequence[str], scope: Filter) -> list[BrowsedProduct]:
        found = self.products.products(product_ids)
        stored = [found[product_id] for product_id in product_ids if product_id in found]
        names = sorted({name for one in stored for name in one.garments})
        return self._to_products(stored, self.browse.segments_by_name(names), scope)

    def _to_products(
        self, stored: Sequence[StoredProduct], segments: Sequence[Segment], scope: Filter
    ) -> list[BrowsedProduct]:
        """Return products with their views, of which these segments are known."""
        visible = self._to_garments(visible_segments(self.catalog, segments, scope), scope)
        by_photo: dict[str, list[BrowsedGarment]] = {}
        for garment in visible:
            by_photo.setdefault(garment.segment.photo, []).append(garment)
        return [
            BrowsedProduct(
                one,
                [view for picture in one.pictures if (view := to_view(picture, by_photo, is_restricted=bool(scope)))],
            )
            for one in stored
        ]

    def _count_product_facets(self, request: BrowseRequest, selected: Sequence[str] | None) -> Facets:
        counted = self.browse.product_facet_counts(request.facets, selected)
        return {name: [FacetValue(*pair) for pair in pairs] for name, pairs in counted.items()}


def to_view(
    picture: StoredPicture, by_photo: Mapping[str, Sequence[BrowsedGarment]], is_restricted: bool
) -> View | None:
    """Return the view of a picture, or `None` if the caller may not see the garment that is the product."""
    garments = by_photo.get(picture.photo or "", ())
    product = next((one for one in garments if one.segment.name == picture.garment), None)
    if is_restricted and product is None:
        return None
    return View(picture, product, [one for one in garments if one is not product])


def check_product_facets(names: Sequence[str]) -> None:
    """Raise `InvalidField` for fields that a product does not have itself."""
    countable = [name for name in OWN_PRODUCT_FIELDS if name not in UNCOUNTED_FIELDS]
    for name in names:
        if name not in countable and not is_feed_column(name):
            known = ", ".join(countable)
            message = f"facets: {name[:100]!r} is not counted for products; fields are {known}, and feed.COLUMN"
            raise InvalidField(message, field="facets")

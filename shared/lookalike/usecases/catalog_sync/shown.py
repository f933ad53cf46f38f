"""Product details of garments after a change of a product that they show."""

from collections.abc import Iterable

from lookalike.domain.model import ProductDetails
from lookalike.domain.ports import Products
from lookalike.domain.stored_product import StoredProduct
from lookalike.usecases.catalog_sync.garment import product_details


def changed_details(
    products: Products, garments: Iterable[str], product_id: str, stored: StoredProduct | None
) -> tuple[list[ProductDetails], list[str]]:
    """Return the product details of garments after a change of one product, and the garments without any.

    `stored` is the product after the change, `None` if it is deleted. A garment can show several products, such as the
    sizes of one dress. Its details are those of the first by id, whatever the order in which they are stored.
    """
    names = sorted(garments)
    others = products.first_products_showing(names, without=product_id)
    details, dropped = [], []
    for garment in names:
        shown = [others[garment].product] if garment in others else []
        if stored and garment in stored.garments:
            shown.append(stored.product)
        if shown:
            details.append(product_details(min(shown, key=lambda product: product.id), garment))
        else:
            dropped.append(garment)
    return details, dropped

"""Names of columns: those of the Google Merchant product data specification, in all their notations."""

import re
from functools import lru_cache

from lookalike.domain.product import ATTRIBUTE_FIELDS

TEXT_COLUMNS = (
    "title",
    "item_group_id",
    *ATTRIBUTE_FIELDS,
)
"""Columns that become a text field of the same name."""
PRODUCT_COLUMNS = (
    "id",
    "item_group_id",
    "title",
    "description",
    "link",
    "image_link",
    "additional_image_link",
    "price",
    "sale_price",
    "availability",
    "brand",
    "color",
    "size",
    "gender",
    "age_group",
    "material",
    "pattern",
    "google_product_category",
    "product_type",
)
"""Columns that become fields of a product, in the order in which they are written."""
REPEATED_COLUMNS = frozenset({"additional_image_link", "size"})
"""Columns of a product that may have several values."""
FALLBACKS = {"id": "image_id", "title": "product_name", "description": "store_description", "link": "url"}
"""Columns of the original system's product details that are read where the specification's column is missing."""
_OTHER = (
    "adult ads_redirect auto_pricing_min_price availability_date canonical_link certification condition "
    "cost_of_goods_sold custom_label_0 custom_label_1 custom_label_2 custom_label_3 custom_label_4 disclosure_date "
    "display_ads_id display_ads_link display_ads_similar_ids display_ads_title display_ads_value "
    "energy_efficiency_class excluded_destination expiration_date external_seller_id gtin identifier_exists "
    "included_destination installment is_bundle lifestyle_image_link link_template loyalty_points loyalty_program "
    "max_energy_efficiency_class max_handling_time maximum_retail_price min_energy_efficiency_class "
    "min_handling_time minimum_order_value mobile_link mobile_link_template mpn multipack pause pickup_method "
    "pickup_sla product_detail product_height product_highlight product_length product_weight product_width "
    "promotion_id return_policy_label sale_price_effective_date shipping shipping_height shipping_label "
    "shipping_length shipping_weight shipping_width ships_from_country shopping_ads_excluded_country short_title "
    "size_system size_type store_code structured_description structured_title subscription_cost tax tax_category "
    "transit_time_label unit_pricing_base_measure unit_pricing_measure virtual_model_link"
)
OTHER_MERCHANT_COLUMNS = frozenset(_OTHER.split())
"""All other columns of the specification. They are kept under these names, whatever the feed's notation."""

_KNOWN = OTHER_MERCHANT_COLUMNS.union(PRODUCT_COLUMNS)
_BRACKETS = re.compile(r"\[([^\[\]]+)\]$")


@lru_cache(maxsize=4_096)
def column_name(name: str) -> str:
    """The specification's name of a column, such as `image_link` for `g:Image Link` or `Image link [image_link]`.

    Other names are only stripped.
    """
    name = name.strip()
    brackets = _BRACKETS.search(name)
    for candidate in (name, brackets[1] if brackets else ""):
        # long names are not a column of the specification
        key = re.sub(r"[\s_-]+", "_", candidate[:100].strip().lower().removeprefix("g:").strip())
        if key in _KNOWN:
            return key
    return name

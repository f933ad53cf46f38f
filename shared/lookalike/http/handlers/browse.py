"""Handlers that list garments and products."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from urllib.parse import quote

from lookalike.bootstrap import Services
from lookalike.domain.color import parse_hex, to_hex
from lookalike.domain.filter import Condition, Filter
from lookalike.domain.product import Money
from lookalike.domain.product_edits import ProductEdit
from lookalike.http.browse_schemas import (
    BrowseQuery,
    GarmentsRequest,
    ProductEditRequest,
    ProductRequest,
    ProductsRequest,
    to_sort,
)
from lookalike.http.handlers.responses import price_response, rounded_score
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import HandlerResult
from lookalike.usecases.browse import BrowsedGarment, BrowsedProduct, BrowseRequest, View
from lookalike.usecases.browse.result import Page
from lookalike.usecases.search import ColorCondition
from lookalike.usecases.segment_images import image_urls

NOT_SHOWN = {"id", "pictures", "price", "sale_price", "size", "extra"}
"""Fields of `Product` that the response has in another form."""


def list_garments(services: Services, request: ApiRequest) -> HandlerResult:
    """List stored garments.

    Filters, words and colors are those of `/search`; every field of a filter is also a parameter of its own. Garments
    that are added or deleted between pages neither repeat nor hide others.
    """
    body = request.parse_body(GarmentsRequest)
    page = services.browse.list_garments(_to_request(request, body, body.conditions(), body.sort, body.facets))
    garments = [garment_data(services, one, body.include) for one in page.garments]
    return {
        "success": True,
        "message": _count(page.total, "garment"),
        "data": {"garments": garments, **_page_data(page, body)},
    }


def list_products(services: Services, request: ApiRequest) -> HandlerResult:
    """List products of feeds.

    Conditions on fields of products and on columns of feeds must be satisfied by the product, and the others by a
    garment that shows it. `brand`, `size` and `created` are those of the product.
    """
    body = request.parse_body(ProductsRequest)
    conditions = {**body.conditions(), **({"feed": Condition((body.feed,))} if body.feed else {})}
    page = services.browse.list_products(_to_request(request, body, conditions, body.sort, body.facets))
    products = [product_data(services, one, body.include, with_edits=request.caller.is_admin) for one in page.products]
    return {
        "success": True,
        "message": _count(page.total, "product"),
        "data": {"products": products, **_page_data(page, body)},
    }


def get_product(services: Services, request: ApiRequest) -> HandlerResult:
    """Get a product of a feed with all its views.

    A view is a picture with the garment that is the product, and the garments that are worn with it.
    """
    body = request.parse_body(ProductRequest)
    product = services.browse.get_product(request.path_parameters["id"], request.caller.scope)
    data = product_data(services, product, body.include, is_single=True, with_edits=request.caller.is_admin)
    return {"success": True, "data": data}


def edit_product(services: Services, request: ApiRequest) -> HandlerResult:
    """Edit fields of a product.

    Values are checked as those of feeds. They are kept when the feed is synchronized, until `use_feed_value` names
    them. Searches, filters, exports and the product details of its garments have them at once.
    """
    body, name = request.parse_body(ProductEditRequest), request.path_parameters["id"]
    columns = {column: _texts(value) for column, value in body.columns.items()}
    services.edit_product.edit(name, columns, body.use_feed_value, request.caller)
    product = services.browse.get_product(name)
    data = product_data(services, product, "none", is_single=True, with_edits=True)
    return {"success": True, "message": f"Changed the product {name}", "data": data}


def _texts(value: str | list[str] | None) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _to_request(
    request: ApiRequest, body: BrowseQuery, conditions: Filter, sort: str, facets: list[str]
) -> BrowseRequest:
    return BrowseRequest(
        filter=conditions,
        scope=request.caller.scope,
        color=ColorCondition(parse_hex(body.color.near), body.color.within) if body.color else None,
        text=body.text,
        sort=to_sort(sort),
        limit=body.limit,
        facets=facets,
        cursor=body.cursor,
    )


def _page_data(page: Page, body: BrowseQuery) -> dict[str, Any]:
    words = {
        "understood": [{"text": one.text, "as": one.field, "value": one.value} for one in page.understood],
        "ignored": list(page.ignored),
    }
    return {
        "cursor": page.cursor,
        "total": page.total,
        "facets": {name: [asdict(value) for value in values] for name, values in page.facets.items()},
        **(words if body.text else {}),
    }


def garment_data(services: Services, garment: BrowsedGarment, include: str) -> dict[str, Any]:
    """Return a garment as the lists show it."""
    segment = garment.segment
    links: Mapping[str, str] = image_urls(services.store, segment) if include == "url" else {}
    return {
        "id": segment.row_id,
        "name": segment.name,
        "photo": segment.photo,
        "label": segment.label,
        "score": rounded_score(segment.score),
        "box": segment.box.as_list() if segment.box else None,
        "thumbnail": f"/thumbnails/{quote(segment.name, safe='')}",
        "color": to_hex(segment.color) if segment.color else None,
        "created": segment.created.isoformat(),
        "product": garment.product,
        "details": asdict(garment.details) if garment.details else None,
        **links,
    }


def product_data(
    services: Services, product: BrowsedProduct, include: str, is_single: bool = False, with_edits: bool = False
) -> dict[str, Any]:
    """Return a product with its views, which have the garments worn with it if it is the only one.

    Edits name users, so that only administrators may see them.
    """
    stored, fields = product.stored, asdict(product.stored.product)
    return {
        "id": fields["id"],
        "feed": stored.feed,
        **{name: value for name, value in fields.items() if name not in NOT_SHOWN},
        "price": price_response(stored.product.price),
        "sale_price": price_response(stored.product.sale_price),
        "size": [*stored.product.size],
        "columns": dict(stored.product.extra),
        "created": _time_data(stored.created),
        "updated": _time_data(stored.updated),
        "gone": _time_data(stored.gone),
        "views": [_view_data(services, view, include, is_single) for view in product.views],
        **({"edits": [_edit_data(edit) for edit in stored.edits]} if with_edits else {}),
    }


def _edit_data(edit: ProductEdit) -> dict[str, Any]:
    value = edit.feed_value
    return {
        "field": edit.field,
        "feed_value": price_response(value) if isinstance(value, Money) else value,
        "at": edit.at.isoformat(),
        "by": edit.editor,
        "by_name": edit.editor_name,
    }


def _view_data(services: Services, view: View, include: str, is_single: bool) -> dict[str, Any]:
    others = [garment_data(services, one, include) for one in view.worn_with]
    return {
        "address": view.picture.address,
        "photo": view.picture.photo,
        "reason": view.picture.reason,
        "garment": garment_data(services, view.garment, include) if view.garment else None,
        **({"worn_with": others} if is_single else {}),
    }


def _time_data(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _count(total: int, noun: str) -> str:
    return f"{total} {noun}{'s' * (total != 1)}"

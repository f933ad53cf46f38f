"""Products of feeds, with their pictures and edits."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)

from lookalike.adapters.catalog.database import Database, read_transaction, write_transaction
from lookalike.adapters.catalog.details_words import write_words
from lookalike.adapters.catalog.product_edits import edit_row, select_edits
from lookalike.adapters.catalog.tables import (
    details_words,
    image_details,
    originals,
    product_edits,
    product_pictures,
    product_values,
    products,
    splitted_images,
)
from lookalike.adapters.catalog.upsert import upsert
from lookalike.adapters.catalog.values import (
    MAX_TEXT_LENGTH,
    batches,
    details_row,
    name_in,
    string_list,
    to_aware_utc,
    to_naive_utc,
    utc_now,
    utc_now_seconds,
    validated,
)
from lookalike.domain.errors import Conflict, InvalidField
from lookalike.domain.feed_columns import column_values
from lookalike.domain.filter import CUSTOM_LABELS, FEED_FIELDS, PRICE_FIELDS
from lookalike.domain.model import ProductDetails
from lookalike.domain.product import ATTRIBUTE_FIELDS, Money, Offer, Product
from lookalike.domain.product_edits import ProductEdit
from lookalike.domain.stored_product import (
    MAX_STORED_AMOUNT,
    MONEY_SCALE,
    StoredPicture,
    StoredProduct,
    product_photo_name,
    to_ten_thousandths,
)

PLAIN_FIELDS = (
    "id",
    "item_group_id",
    "title",
    "description",
    "link",
    "availability",
    *ATTRIBUTE_FIELDS,
)
"""Text fields of `Product` that have a column of the same name."""
STORED, FAILED = "stored", "failed"
"""Values of `product_pictures.status`."""
FEED_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    name: products.c[{"product_id": "id", "color_name": "color"}.get(name, name)] for name in FEED_FIELDS
}
"""Column of each filterable field of a product."""
_products, _pictures = products.c, product_pictures.c


class ProductQueries(Database):
    """Queries of the port `Products` about products, and those of the port `Catalog` about products of feeds."""

    @read_transaction
    def products(self, tx: Connection, product_ids: Sequence[str]) -> dict[str, StoredProduct]:
        """Return the existing products by id."""
        return select_products(tx, product_ids)

    @read_transaction
    def product_ids_of_feed(self, tx: Connection, feed: str) -> list[tuple[str, bool]]:
        """Return the sorted ids of the products of a feed, and whether each is gone."""
        query = select(_products.id, _products.gone_time).where(name_in(_products.feed, feed))
        return sorted((product_id, gone is not None) for product_id, gone in tx.execute(query))

    @read_transaction
    def first_products_showing(self, tx: Connection, garments: Sequence[str], without: str) -> dict[str, StoredProduct]:
        """Return the product with the first id that each garment shows, apart from the product `without`."""
        first = select_first_shown(tx, garments, _pictures.product != without)
        found = select_products(tx, sorted(set(first.values())))
        return {garment: found[product] for garment, product in first.items()}

    @read_transaction
    def offers(self, tx: Connection, product_ids: Sequence[str]) -> dict[str, Offer]:
        """Return what products cost, by id."""
        query = select(_products.id, _products.price, _products.sale_price, _products.currency, _products.availability)
        found = [
            row for batch in batches(product_ids) for row in tx.execute(query.where(name_in(_products.id, *batch)))
        ]
        return {
            name: Offer(name, to_money(price, currency), to_money(sale_price, currency), availability)
            for name, price, sale_price, currency, availability in found
        }

    @read_transaction
    def price_currencies(self, tx: Connection) -> list[str]:
        """Return the currencies of all prices, sorted."""
        has_price = _products.price.is_not(None)
        found = tx.execute(select(_products.currency).where(has_price).distinct()).scalars()
        return sorted(currency for currency in found if currency)

    def save_product(
        self,
        stored: StoredProduct,
        details: Sequence[ProductDetails] = (),
        dropped: Sequence[str] = (),
        previous: StoredProduct | None = None,
    ) -> None:
        """Insert or replace a product with its pictures and edits, and change product details.

        Raises `InvalidField`, and `Conflict` if the product is not `previous` any more.
        """
        name = stored.product.id
        pictures = [picture_row(name, number, one) for number, one in enumerate(stored.pictures)]
        edits = [edit_row(name, one) for one in stored.edits]
        tables = {product_pictures: pictures, product_values: value_rows(stored.product), product_edits: edits}
        self._save(product_row(stored), tables, _details_rows(details), dropped, previous)

    @write_transaction
    def _save(
        self,
        tx: Connection,
        row: Mapping[str, object],
        tables: Mapping[Table, Sequence[Mapping[str, object]]],
        details: Sequence[Mapping[str, object]],
        dropped: Sequence[str],
        previous: StoredProduct | None,
    ) -> None:
        if previous is not None:
            _check_unchanged(tx, previous)
        upsert(tx, products, [row])
        for table, rows in tables.items():
            tx.execute(delete(table).where(table.c.product == row["id"]))
            if rows:
                tx.execute(insert(table), rows)
        _change_details(tx, details, dropped)

    @write_transaction
    def mark_products_gone(self, tx: Connection, product_ids: Sequence[str], moment: datetime) -> None:
        """Set the time since which products are gone, where it is not set."""
        for batch in batches(product_ids):
            is_present = name_in(_products.id, *batch), _products.gone_time.is_(None)
            tx.execute(update(products).where(*is_present).values(gone_time=to_naive_utc(moment)))

    def delete_product(
        self, product_id: str, details: Sequence[ProductDetails] = (), dropped: Sequence[str] = ()
    ) -> None:
        """Delete a product with its pictures, and change product details. Raises `InvalidField`."""
        self._delete(product_id, _details_rows(details), dropped)

    @write_transaction
    def _delete(
        self, tx: Connection, product_id: str, details: Sequence[Mapping[str, object]], dropped: Sequence[str]
    ) -> None:
        tx.execute(delete(products).where(name_in(_products.id, product_id)))
        for table in (product_pictures, product_values, product_edits):
            tx.execute(delete(table).where(name_in(table.c.product, product_id)))
        _change_details(tx, details, dropped)

    @read_transaction
    def photos_in_use(self, tx: Connection, photos: Sequence[str]) -> set[str]:
        """Return those of the photos that belong to a picture of a product."""
        found: set[str] = set()
        for batch in batches(photos):
            found.update(tx.execute(select(_pictures.photo).where(name_in(_pictures.photo, *batch))).scalars())
        return found

    @read_transaction
    def unused_product_photos(self, tx: Connection, before: datetime) -> list[str]:
        """Return the photos of products, uploaded before that time, that belong to no product any more."""
        # a test of the prefix alone would also find photos that a user named so
        name = literal(product_photo_name("")).concat(func.substr(originals.c.sha256, 1, 16))
        is_unused = ~select(_pictures.photo).where(_pictures.photo == originals.c.name).exists()
        is_old = originals.c.create_time < to_naive_utc(before)
        query = select(originals.c.name).where(originals.c.name.startswith(product_photo_name("")))
        return sorted(tx.execute(query.where(originals.c.name == name, is_old, is_unused)).scalars())


def _check_unchanged(tx: Connection, previous: StoredProduct) -> None:
    """Lock the row of a product. Raises `Conflict` if it was changed or deleted since it was read."""
    query = select(_products.update_time, _products.gone_time).where(name_in(_products.id, previous.product.id))
    row = tx.execute(query.with_for_update()).first()
    if row is None or tuple(moment and to_aware_utc(moment) for moment in row) != (previous.updated, previous.gone):
        raise Conflict("The product was changed meanwhile: try again")


def product_row(stored: StoredProduct) -> dict[str, object]:
    """Return the column values of a product. Raises `InvalidField`."""
    product, moment = stored.product, utc_now()
    return validated(
        products,
        feed=stored.feed,
        **{name: getattr(product, name) for name in PLAIN_FIELDS},
        **_price_values(product),
        size=list(product.size),
        **{name: product.extra.get(name) for name in CUSTOM_LABELS},
        extra={name: value for name, value in product.extra.items() if name not in CUSTOM_LABELS},
        fingerprint=stored.fingerprint,
        gone_time=to_naive_utc(stored.gone) if stored.gone else None,
        create_time=moment,
        update_time=moment,
    )


def value_rows(product: Product) -> list[dict[str, object]]:
    """Return the column values of the rows that filters on other columns of the feed read."""
    return [
        {"product": product.id, "name": name, "position": position, "value": value}
        for name, position, value in column_values(product.extra)
    ]


def picture_row(product_id: str, position: int, picture: StoredPicture) -> dict[str, object]:
    """Return the column values of a picture. Raises `InvalidField`."""
    return validated(
        product_pictures,
        product=product_id,
        position=position,
        address=picture.address,
        etag=picture.etag,
        last_modified=picture.last_modified,
        sha256=picture.sha256,
        photo=picture.photo,
        garment=picture.garment,
        status=FAILED if picture.has_failed else STORED,
        reason=picture.reason and picture.reason[:MAX_TEXT_LENGTH],
    )


def _price_values(product: Product) -> dict[str, object]:
    """Return the values of the columns of prices. Raises `InvalidField`."""
    prices = {name: getattr(product, name) for name in PRICE_FIELDS}
    currencies = {money.currency for money in prices.values() if money}
    if len(currencies) > 1:
        raise InvalidField("price and sale_price must be in the same currency", field="sale_price")
    amounts = {name: _stored_amount(name, money) if money else None for name, money in prices.items()}
    return {**amounts, "currency": next(iter(currencies), None)}


def _stored_amount(name: str, money: Money) -> int:
    amount = to_ten_thousandths(money.amount)
    if not isinstance(amount, int) or not 0 <= amount <= MAX_STORED_AMOUNT:
        raise InvalidField(f"{name} must be at least 0 and have at most four decimals: {money.amount}", field=name)
    return amount


def _details_rows(details: Iterable[ProductDetails]) -> list[dict[str, object]]:
    moment = utc_now_seconds()
    return [details_row(one) | {"create_time": moment, "update_time": moment} for one in details]


def _change_details(tx: Connection, details: Sequence[Mapping[str, object]], dropped: Sequence[str]) -> None:
    for batch in batches(dropped):
        tx.execute(delete(image_details).where(name_in(image_details.c.image_id, *batch)))
        tx.execute(delete(details_words).where(name_in(details_words.c.image_id, *batch)))
    if details:
        upsert(tx, image_details, details)
        write_words(tx, details)


def select_first_shown(
    tx: Connection, garments: Sequence[str], condition: ColumnElement[bool] | None = None
) -> dict[str, str]:
    """Return the first id, by code points, of the products that each garment shows.

    Thousands of products can share a picture, such as a placeholder. Only one of them is read.
    """
    first: dict[str, str] = {}
    for batch in batches(garments):
        query = select(_pictures.garment, func.min(_pictures.product)).where(name_in(_pictures.garment, *batch))
        query = query if condition is None else query.where(condition)
        first.update((garment, product) for garment, product in tx.execute(query.group_by(_pictures.garment)))
    return first


def select_products(tx: Connection, product_ids: Sequence[str]) -> dict[str, StoredProduct]:
    """Return the existing products by id, inside the caller's transaction."""
    found: dict[str, StoredProduct] = {}
    for batch in batches(product_ids):
        rows = tx.execute(select(products).where(name_in(_products.id, *batch))).mappings().all()
        pictures: dict[str, list[StoredPicture]] = {}
        for picture in tx.execute(_picture_query(batch)).mappings():
            pictures.setdefault(picture["product"], []).append(_to_picture(picture))
        edits = select_edits(tx, batch)
        for row in rows:
            name = row["id"]
            found[name] = _to_stored_product(row, tuple(pictures.get(name, ())), edits.get(name, ()))
    return found


def _picture_query(product_ids: Sequence[str]) -> Select[Any]:
    """Select pictures with `photo` and `garment` only where these still exist."""
    columns = [column for column in product_pictures.c if column.name not in ("photo", "garment")]
    query = select(*columns, originals.c.name.label("photo"), splitted_images.c.splitted_image_id.label("garment"))
    query = query.select_from(product_pictures).outerjoin(originals, originals.c.name == _pictures.photo)
    query = query.outerjoin(splitted_images, splitted_images.c.splitted_image_id == _pictures.garment)
    return query.where(name_in(_pictures.product, *product_ids)).order_by(_pictures.product, _pictures.position)


def _to_picture(row: RowMapping) -> StoredPicture:
    if row["photo"] is None:
        return StoredPicture(row["address"], reason=row["reason"])
    names = ("address", "etag", "last_modified", "sha256", "photo", "garment", "reason")
    return StoredPicture(**{name: row[name] for name in names})


def _to_stored_product(
    row: RowMapping, pictures: tuple[StoredPicture, ...], edits: tuple[ProductEdit, ...]
) -> StoredProduct:
    labels = {name: row[name] for name in CUSTOM_LABELS if row[name] is not None}
    product = Product(
        **{name: row[name] for name in PLAIN_FIELDS},
        pictures=tuple(picture.address for picture in pictures),
        price=to_money(row["price"], row["currency"]),
        sale_price=to_money(row["sale_price"], row["currency"]),
        size=tuple(string_list(row["size"]) or ()),
        extra={**(row["extra"] or {}), **labels},
    )
    gone = to_aware_utc(row["gone_time"]) if row["gone_time"] else None
    times = to_aware_utc(row["create_time"]), to_aware_utc(row["update_time"])
    return StoredProduct(product, row["feed"], pictures, gone, *times, edits)


def to_amount(ten_thousandths: int) -> Decimal:
    """Return an amount with at least two decimals, and more where they are needed."""
    amount = Decimal(ten_thousandths) / MONEY_SCALE
    return amount if amount.as_tuple().exponent <= -2 else amount.quantize(Decimal("0.01"))  # type: ignore[operator]


def to_money(ten_thousandths: int | None, currency: str | None) -> Money | None:
    """Return the money of a stored amount."""
    return None if ten_thousandths is None else Money(to_amount(ten_thousandths), currency or "")

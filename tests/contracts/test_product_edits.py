"""Contract of the ports `Products` and `Catalog`: edits of products."""

from dataclasses import replace
from decimal import Decimal

import pytest

from lookalike.domain.errors import Conflict, InvalidField
from lookalike.domain.product import Money, Product
from lookalike.domain.product_edits import ProductEdit
from tests.contracts.rows import World
from tests.contracts.test_products import DRESS, NOW, stored
from tests.fakes.catalog import FakeCatalog


@pytest.fixture
def store(world: World) -> FakeCatalog:
    """Typed as the fake: every catalog also implements this port."""
    return world.catalog  # type: ignore[return-value]


LABEL = ProductEdit("custom_label_0", NOW, "linen", None, "key:1")
EDITS = (
    LABEL,
    ProductEdit("price", NOW, Money(Decimal("12.50"), "EUR"), DRESS.price, "anna", "anna@example.com"),
    ProductEdit("size", NOW, (), ("S", "M"), "anna", "anna@example.com"),
    ProductEdit("title", NOW, "Dress 👗", None, "bert", "bert@example.com"),
)


def test_edits_are_stored_with_their_product(store: FakeCatalog) -> None:
    store.save_product(stored(DRESS, edits=EDITS))
    store.save_product(stored(Product("other"), edits=EDITS[1:2]))
    found = store.products([DRESS.id, "other"])
    for one in (found[DRESS.id].edits, EDITS):
        assert [(edit.editor, edit.editor_name) for edit in one][1:3] == [("anna", "anna@example.com")] * 2
    assert found[DRESS.id].edits == EDITS and found["other"].edits == EDITS[1:2]
    own = [(DRESS.id, "price"), (DRESS.id, "size"), ("other", "price")]
    assert [(name, edit.field) for name, edit in store.edits_of_editor("anna")] == own
    assert store.forget_editor("anna") == 3 and store.edits_of_editor("anna") == []
    after = store.products([DRESS.id])[DRESS.id].edits
    assert after == EDITS and [edit.editor for edit in after] == ["key:1", None, None, "bert"]
    store.save_product(stored(DRESS, edits=EDITS[:1]))
    assert store.products([DRESS.id])[DRESS.id].edits == (LABEL,)
    with pytest.raises(InvalidField):
        store.save_product(stored(DRESS, edits=(replace(LABEL, field="x" * 256),)))
    store.delete_product(DRESS.id)
    store.save_product(stored(DRESS))
    assert store.products([DRESS.id])[DRESS.id].edits == ()


def test_product_that_was_changed_since_it_was_read_is_not_replaced(store: FakeCatalog) -> None:
    store.save_product(stored(DRESS))
    read = store.products([DRESS.id])[DRESS.id]
    store.save_product(stored(replace(DRESS, title="First")), previous=read)
    with pytest.raises(Conflict):
        store.save_product(stored(replace(DRESS, title="Second")), previous=read)
    now = store.products([DRESS.id])[DRESS.id]
    store.mark_products_gone([DRESS.id], NOW)
    with pytest.raises(Conflict):
        store.save_product(stored(replace(DRESS, title="Second")), previous=now)
    store.delete_product(DRESS.id)
    with pytest.raises(Conflict):
        store.save_product(stored(DRESS), previous=now)
    assert store.products([DRESS.id]) == {} and now.product.title == "First"


def test_forgotten_editor_is_not_stored_again(store: FakeCatalog) -> None:
    """A synchronization has read the product before, and stores it afterwards."""
    for name in ("mine", "other"):
        store.save_product(stored(Product(name), edits=EDITS[1:2] if name == "mine" else EDITS[3:]))
    read = store.products(["mine", "other"])
    store.forget_editor("anna")
    with pytest.raises(Conflict):
        store.save_product(read["mine"], previous=read["mine"])
    assert [edit.editor for edit in store.products(["mine"])["mine"].edits] == [None]
    store.save_product(read["other"], previous=read["other"])

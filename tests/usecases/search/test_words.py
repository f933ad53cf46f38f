"""Words of a search: embedded with a text encoder, conditions without one."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from PIL import Image

from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import InvalidField
from lookalike.domain.filter import Condition
from lookalike.domain.model import Box, NewSegment, Photo, ProductDetails, Vectors
from lookalike.domain.product import Money, Product
from lookalike.domain.stored_product import StoredPicture, StoredProduct
from lookalike.usecases.models import Models
from lookalike.usecases.search import GarmentExample, Include, SearchRequest, TextExample
from lookalike.usecases.search.result import UnderstoodWords
from tests.fakes.models import FakeEmbedder
from tests.usecases.search.harness import SearchHarness, photo_names


class FakeTextEmbedder(FakeEmbedder):
    """Embeds the name of a color as that color."""

    def embed_texts(self, texts: Sequence[str], cancel: CancelToken) -> Vectors:
        return self.embed([Image.new("RGB", (1, 1), text) for text in texts], cancel)


def search(harness: SearchHarness, *texts: TextExample | GarmentExample, **options: object) -> SearchRequest:
    return SearchRequest(texts, 10, include=Include.NONE, **options)  # type: ignore[arg-type]


def add_dress(harness: SearchHarness, name: str, color: tuple[float, float, float] | None) -> None:
    """Store a dress with that mean color and the vector of red."""
    box = Box(0, 0, 9, 9)
    segment = NewSegment(f"{name}_0", f"{name}.png", f"{name}.jpg", box, "dress", 0.9, harness.embed("red"), color)
    harness.catalog.add_photo(Photo(name, "0" * 64, 9, 9), [segment], FakeEmbedder.name)


@pytest.fixture
def catalog_of_dresses(harness: SearchHarness) -> SearchHarness:
    """Return the harness with a red and a blue dress of Marlow, and one without color and details."""
    add_dress(harness, "red-dress", (45.0, 65.0, 45.0))
    add_dress(harness, "blue-dress", (35.0, 10.0, -50.0))
    add_dress(harness, "plain-dress", None)
    harness.segments.put_details(
        [
            ProductDetails("red-dress", brand="Marlow", store_description="with a floral print"),
            ProductDetails("blue-dress", brand="Marlow"),
        ]
    )
    return harness


class TestTextEncoder:
    """An embedder that embeds texts."""

    @pytest.fixture(autouse=True)
    def with_encoder(self, harness: SearchHarness) -> None:
        embedder = FakeTextEmbedder()
        harness.models = Models(harness.detector, embedder, max_waiting=8, text_embedder=embedder)

    def test_a_text_is_an_example_like_a_photo(self, harness: SearchHarness) -> None:
        result = harness.run(search(harness, TextExample("blue")))
        assert photo_names(result)[0][0] == "blue" and not result.understood and not result.ignored
        (best, *_) = result.groups[0].matches
        assert best.similarity == pytest.approx(1, abs=1e-3) and best.match_probability is None

    def test_a_text_is_added_by_its_weight(self, harness: SearchHarness) -> None:
        harness.add_photo("purple", "purple")
        mixed = search(harness, GarmentExample("red_segment_0"), TextExample("blue"))
        assert photo_names(harness.run(mixed))[0][0] == "purple"

    def test_a_text_becomes_conditions_on_request(self, catalog_of_dresses: SearchHarness) -> None:
        request = search(catalog_of_dresses, TextExample("Marlow"), words_as_conditions=True)
        assert photo_names(catalog_of_dresses.run(request)) == [["red-dress", "blue-dress"]]


class TestConditions:
    """An embedder without a text encoder."""

    def test_understood_words_list_what_satisfies_them(self, catalog_of_dresses: SearchHarness) -> None:
        result = catalog_of_dresses.run(search(catalog_of_dresses, TextExample("a red gown")))
        assert photo_names(result) == [["red-dress"]]
        assert UnderstoodWords("red", "color", "red") in result.understood
        assert UnderstoodWords("gown", "label", "dress") in result.understood and list(result.ignored) == ["a"]
        (match,) = result.groups[0].matches
        assert match.similarity is None and match.explanation.color_distance is not None

    def test_values_of_one_field_are_alternatives(self, catalog_of_dresses: SearchHarness) -> None:
        result = catalog_of_dresses.run(search(catalog_of_dresses, TextExample("dresses and skirts")))
        assert sorted(photo_names(result)[0]) == ["blue-dress", "plain-dress", "red-dress"]

    def test_prices_are_limits(self, catalog_of_dresses: SearchHarness) -> None:
        for name, amount, currency in (("red-dress", "79.99", "EUR"), ("blue-dress", "80.01", "USD")):
            picture = StoredPicture("https://shop.example/1.jpg", photo=name, garment=f"{name}_0")
            product = Product(name, price=Money(Decimal(amount), currency))
            catalog_of_dresses.catalog.save_product(StoredProduct(product, "shop", (picture,)))

        def found(*texts: TextExample, **options: object) -> list[list[str]]:
            return photo_names(catalog_of_dresses.run(search(catalog_of_dresses, *texts, **options)))

        assert found(TextExample("dress under 80")) == [["red-dress"]]
        assert found(TextExample("over 79 EUR")) == [["red-dress"]]
        assert found(TextExample("between 79.99 and 90")) == [["red-dress", "blue-dress"]]
        assert found(TextExample("dress"), TextExample("under 80", weight=-1.0)) == [["blue-dress", "plain-dress"]]
        scope = {"currency": Condition(("USD",))}
        assert found(TextExample("dress under 81 EUR"), scope=scope) == [["blue-dress"]]
        result = catalog_of_dresses.run(search(catalog_of_dresses, TextExample("dress under 80 EUR")))
        assert UnderstoodWords("under 80 EUR", "price", "<=80") in result.understood
        assert UnderstoodWords("under 80 EUR", "currency", "EUR") in result.understood

    def test_colors_of_one_text_are_alternatives(self, catalog_of_dresses: SearchHarness) -> None:
        result = catalog_of_dresses.run(search(catalog_of_dresses, TextExample("red or blue")))
        assert sorted(photo_names(result)[0]) == ["blue-dress", "red-dress"]

    def test_several_texts_must_all_be_satisfied(self, catalog_of_dresses: SearchHarness) -> None:
        result = catalog_of_dresses.run(search(catalog_of_dresses, TextExample("Marlow"), TextExample("floral")))
        assert photo_names(result) == [["red-dress"]]

    def test_words_and_the_filter_must_both_be_satisfied(self, catalog_of_dresses: SearchHarness) -> None:
        wanted = {"label": Condition(("top",))}
        result = catalog_of_dresses.run(search(catalog_of_dresses, TextExample("dress"), filter=wanted))
        assert photo_names(result) == [[]]

    def test_a_negative_text_excludes(self, catalog_of_dresses: SearchHarness) -> None:
        examples = (TextExample("dress"), TextExample("Marlow", -1))
        result = catalog_of_dresses.run(search(catalog_of_dresses, *examples))
        assert photo_names(result) == [["plain-dress"]]

    def test_vectors_decide_the_order_before_colors(self, catalog_of_dresses: SearchHarness) -> None:
        add_dress(catalog_of_dresses, "crimson", (42.0, 62.0, 40.0))
        examples = (GarmentExample("red-dress_0"), TextExample("red"))
        result = catalog_of_dresses.run(search(catalog_of_dresses, *examples))
        assert photo_names(result) == [["red-dress", "crimson"]]

    def test_a_text_of_which_nothing_is_understood_is_refused(self, harness: SearchHarness) -> None:
        text = TextExample("xyzzy of the", field_prefix="query[2].")
        with pytest.raises(InvalidField, match=r"query\[2\]\.text: nothing of 'xyzzy of the' is understood"):
            harness.run(search(harness, text))

    def test_no_model_is_loaded_if_words_become_conditions_on_request(self, harness: SearchHarness) -> None:
        def refuse() -> Models:
            raise AssertionError("a model was loaded")

        harness.search = replace(harness.search, load_models=refuse)
        result = harness.run(search(harness, TextExample("dress"), words_as_conditions=True))
        assert result.understood == [UnderstoodWords("dress", "label", "dress")]

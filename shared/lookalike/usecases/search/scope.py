"""Words of a request as they occur in the garments that the caller may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lookalike.domain.filter import Condition, Filter
from lookalike.domain.ports import Catalog


@dataclass(frozen=True)
class ScopedWords:
    """Looks up words in the product details of visible garments alone, so that nothing is told of others."""

    catalog: Catalog
    scope: Filter

    def details_fields_with_value(self, phrase: str) -> Sequence[tuple[str, str]]:
        """Return the same as the catalog's method, without values that no visible garment has."""
        pairs = self.catalog.details_fields_with_value(phrase)
        if not self.scope:
            return pairs
        return [
            (name, value)
            for name, value in pairs
            if self._is_visible(self.catalog.matching_row_ids(None, {name: Condition((value,))}))
        ]

    def has_text(self, text: str) -> bool:
        """Return whether the product details of any visible garment contain every word of the text."""
        if not self.scope:
            return self.catalog.has_text(text)
        return self._is_visible(self.catalog.row_ids_with_text(None, text))

    def price_currencies(self) -> Sequence[str]:
        """Return the currencies of the prices of visible garments."""
        currencies = self.catalog.price_currencies()
        if not self.scope:
            return currencies
        return [
            one
            for one in currencies
            if self._is_visible(self.catalog.matching_row_ids(None, {"currency": Condition((one,))}))
        ]

    def _is_visible(self, row_ids: NDArray[np.int64]) -> bool:
        return bool(np.isin(row_ids, self._visible_ids).any())

    @cached_property
    def _visible_ids(self) -> NDArray[np.int64]:
        return self.catalog.matching_row_ids(None, self.scope)

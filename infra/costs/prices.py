"""The price list, and what an amount of something costs."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRICES = Path(__file__).with_name("prices.toml")
MULTIPLES = {"thousand": 1e3, "ten thousand": 1e4, "million": 1e6}
"""Units that count several of something."""


@dataclass(frozen=True)
class Price:
    """A price in USD."""

    what: str
    unit: str
    tiers: Sequence[tuple[float, float]]
    """Amounts a month up to which a price holds, and that price, in rising order. The last amount is infinite."""
    free: float
    """Amount a month that is not charged."""
    region: str
    source: str
    date: str
    """Day on which it was entered: 2026-11-29."""
    seen: bool
    """Whether the amount was read at its source that day."""

    @property
    def size(self) -> float:
        """How many things are one unit."""
        return MULTIPLES.get(self.unit, 1)

    def cost(self, amount: float, *, with_free: bool = True) -> float:
        """Return what an amount a month costs."""
        units = max(0.0, amount / self.size - (self.free if with_free else 0))
        total, start = 0.0, 0.0
        for end, price in self.tiers:
            total += max(0.0, min(units, end) - start) * price
            start = end
        return total


def read_prices(file: Path = PRICES) -> dict[str, Price]:
    """Read a price list. Raises `ValueError` with the name of a price that is not complete."""
    return {name: _read(name, entry) for name, entry in tomllib.loads(file.read_text()).items()}


def _read(name: str, entry: Mapping[str, Any]) -> Price:
    try:
        tiers = entry.get("tiers") or [{"price": entry["price"]}]
        return Price(
            entry["what"],
            entry["unit"],
            [(float(one.get("up_to", "inf")), float(one["price"])) for one in tiers],
            float(entry.get("free", 0)),
            entry["region"],
            entry["source"],
            entry["date"],
            entry["seen"],
        )
    except KeyError as error:
        raise ValueError(f"The price {name} has no {error.args[0]}.") from error

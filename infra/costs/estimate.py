"""The costs of all systems with all sets of models, by row."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from infra.costs.charges import all_charges
from infra.costs.deployment import Configuration, Deployment, read_configuration
from infra.costs.month import Charge, Month
from infra.costs.prices import Price, read_prices
from infra.costs.workload import Assumptions, read_assumptions

ONE_ADDRESS = {"domain": "lookalike.example.com"}
"""Values of variables of the main table: with a load balancer."""


def costs_by_row(charges: Sequence[Charge], prices: Mapping[str, Price], *, with_free: bool = True) -> dict[str, float]:
    """Return what each row costs.

    Free amounts and tiers hold for all charges of a price together, so each charge has its share of their sum.
    """
    amounts: defaultdict[str, float] = defaultdict(float)
    for charge in charges:
        amounts[charge.price] += charge.amount
    rates = {
        name: prices[name].cost(amount, with_free=with_free) / amount if amount else 0.0
        for name, amount in amounts.items()
    }
    costs: defaultdict[str, float] = defaultdict(float)
    for charge in charges:
        costs[charge.row] += charge.amount * rates[charge.price]
    return dict(costs)


@dataclass(frozen=True)
class Estimate:
    """All columns of the table."""

    configuration: Configuration = field(default_factory=read_configuration)
    prices: Mapping[str, Price] = field(default_factory=read_prices)
    assumptions: Assumptions = field(default_factory=read_assumptions)
    values: Mapping[str, Any] = field(default_factory=lambda: ONE_ADDRESS)
    """Values of Terraform's variables."""
    with_free: bool = True
    """Whether free amounts are subtracted."""

    @cached_property
    def months(self) -> Mapping[tuple[str, str], Month]:
        """Each system with each set of models, by their names."""
        return {
            (system_name, models_name): Month(
                Deployment(self.configuration, {**self.values, **models["variables"]}), self.assumptions, system, models
            )
            for models_name, models in self.assumptions.models.items()
            for system_name, system in self.assumptions.systems.items()
        }

    @cached_property
    def columns(self) -> Mapping[tuple[str, str], Mapping[str, float]]:
        """Costs by row, for each of `months`."""
        return {
            key: costs_by_row(all_charges(month), self.prices, with_free=self.with_free)
            for key, month in self.months.items()
        }

    @cached_property
    def totals(self) -> Mapping[tuple[str, str], float]:
        """Sum of each column."""
        return {key: sum(column.values()) for key, column in self.columns.items()}

    @property
    def shortages(self) -> Sequence[tuple[str, str, str, int, int]]:
        """System, models, function, needed and allowed instances, where Terraform allows fewer than are needed."""
        return [
            (*key, name, time.most, month.deployment.services[name].most)
            for key, month in self.months.items()
            for name, time in month.times.items()
            if time.most > month.deployment.services[name].most
        ]

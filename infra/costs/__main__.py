"""`python -m infra.costs`: print the tables, or write them to docs/costs.md."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.costs.estimate import ONE_ADDRESS, Estimate
from infra.costs.prices import PRICES, read_prices
from infra.costs.report import PAGE, fill_page, main_table, notes, sections
from infra.costs.workload import ASSUMPTIONS, read_assumptions


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table. Exits with 1 if something is not known."""
    options = _parse(arguments)
    try:
        estimate = Estimate(
            prices=read_prices(options.prices),
            assumptions=read_assumptions(options.assumptions),
            values={**ONE_ADDRESS, **dict(options.set)},
            with_free=not options.without_free,
        )
        print("\n".join([main_table(estimate), *notes(estimate)]))
        if options.write_docs:
            PAGE.write_text(fill_page(PAGE.read_text(), sections(Estimate())))
    except KeyError as error:
        sys.exit(f"The costs cannot be estimated: {error} is missing in the price list or the assumptions.")
    except (ValueError, OSError) as error:
        sys.exit(f"The costs cannot be estimated: {error}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.costs", description="Estimate what a deployment costs a month, in USD."
    )
    parser.add_argument("--prices", type=Path, default=PRICES, help="price list")
    parser.add_argument("--assumptions", type=Path, default=ASSUMPTIONS, help="what the systems have to do")
    parser.add_argument(
        "--set", type=_variable, action="append", default=[], metavar="NAME=VALUE", help="variable of Terraform"
    )
    parser.add_argument("--without-free", action="store_true", help="do not subtract free amounts")
    parser.add_argument(
        "--write-docs", action="store_true", help="write all tables, with default options, to docs/costs.md"
    )
    return parser.parse_args(arguments)


def _variable(text: str) -> tuple[str, Any]:
    """Return name and value. Values that are not JSON are texts."""
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("use NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


if __name__ == "__main__":
    main()

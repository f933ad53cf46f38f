"""The estimate of what a deployment costs, and the page that shows it."""

import dataclasses
import math
from functools import cache
from pathlib import Path

import pytest

from infra.costs.__main__ import main
from infra.costs.charges import all_charges
from infra.costs.coverage import BILLED, OUTSIDE, UNBILLED
from infra.costs.deployment import Deployment, Size, read_configuration
from infra.costs.estimate import Estimate
from infra.costs.expressions import NotEvaluated, Scope
from infra.costs.prices import PRICES, Price, read_prices
from infra.costs.report import GPU_SETTINGS, PAGE, SETTINGS, fill_page, sections, table
from infra.costs.workload import HOURS, Load, instance_time, measured_seconds
from lookalike.settings import Settings
from tests.infra.deployment import environment, terraform

MONTH = HOURS * 3600
SECRETS = ("secrets", "secret_reads")


@cache
def estimate() -> Estimate:
    """Return the estimate with the files of the repository."""
    return Estimate()


def test_page_has_the_computed_tables() -> None:
    """Run `make costs ARGS=--write-docs` if it has not."""
    text = PAGE.read_text()

    assert fill_page(text, sections(estimate())) == text


def test_every_resource_is_billed_or_named_as_free() -> None:
    """A new type of resource needs charges, or a reason why it costs nothing."""
    kinds = {address.partition(".")[0] for address in terraform().resources}
    rows = {row for column in estimate().columns.values() for row in column}

    assert kinds <= BILLED.keys() | UNBILLED.keys()
    assert not BILLED.keys() & UNBILLED.keys()
    assert all(any(row.startswith(start) for row in rows) for start in BILLED.values())
    assert all(any(row.startswith(start) for start in [*BILLED.values(), *OUTSIDE]) for row in rows)


def test_every_price_is_used() -> None:
    """A price that nothing uses would suggest that it is counted."""
    without_balancer = dataclasses.replace(estimate(), values={"domain": ""})
    months = [month for one in (estimate(), without_balancer) for month in one.months.values()]
    charges = [charge for month in months for charge in all_charges(month) if charge.amount]

    # there are fewer than five forwarding rules
    assert {charge.price for charge in charges} == estimate().prices.keys() - {"balancer_more_rules"}


def test_total_of_the_idle_system_computed_by_hand() -> None:
    """Everything that is not free: the database, its disk, the load balancer, and cents of storage, traffic and builds."""
    database = (2 * 0.0413 + 7.5 * 0.007) * 730 + 10 * 0.17 + 15 * 0.08
    checks = 3 * 730 * 3600 / 300
    traffic = checks * 8 / 1024**2
    balancer = 730 * 0.025 + (traffic + checks * 200 / 1024**2) * 0.008 + 5 + 11 + checks * 0.75e-6
    objects = (500 * 900 / 1024**2 + 3 * 1000 * (4 * 442 + 350) / 1024**3) * 0.02
    # uptime checks and calls of the schedule, each of which reads an object
    reads = (checks + 6 * 730) * 0.0004 / 1000
    alerts = estimate().months["idle", "compact"].deployment.number_of("google_monitoring_alert_policy")
    others = (4 - 0.5) * 0.10 + 40 * 0.016 + alerts * (0.10 + 2 * 730 * 120 * 0.35e-6)

    expected = database + balancer + objects + reads + traffic * 0.12 + others

    assert estimate().totals["idle", "compact"] == pytest.approx(expected, abs=0.001)


def test_sizes_and_numbers_come_from_terraform() -> None:
    """Other values of variables change what is billed."""
    configuration = read_configuration()
    plain = Deployment(configuration)
    complete = Deployment(
        configuration,
        {
            "domain": "a.example",
            "gpu_image": "x@sha256:0",
            "high_availability": True,
            "database_tier": "db-custom-4-15360",
        },
    )

    assert plain.number_of("google_compute_global_forwarding_rule") == 0
    assert complete.number_of("google_compute_global_forwarding_rule") == 4
    assert plain.database == (2, 7.5, 1)
    assert complete.database == (4, 15, 2)
    for deployment in (plain, complete):
        for name, size in deployment.services.items():
            on_gpu = deployment is complete and terraform().functions[name]["uses_models"]
            limits = terraform().locals["l4_limits"] if on_gpu else terraform().functions[name]
            assert (size.vcpus, size.gpus) == (float(limits["cpu"]), int(on_gpu))
    with pytest.raises(ValueError, match="no variable databse_tier"):
        Deployment(configuration, {"databse_tier": ""})


def test_tokens_signed_with_a_shared_secret_need_one_secret_more() -> None:
    """All functions read it when they start."""
    amounts = []
    for signs_hs256 in (False, True):
        changed = dataclasses.replace(estimate(), values={"supabase_signs_hs256": signs_hs256})
        charges = all_charges(changed.months["idle", "compact"])
        amounts.append({name: sum(one.amount for one in charges if one.price == name) for name in SECRETS})
    plain, shared = amounts

    assert shared["secrets"] == plain["secrets"] + 1
    assert shared["secret_reads"] == pytest.approx(plain["secret_reads"] + HOURS / 24 * len(terraform().functions))


def test_a_changed_price_changes_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command reads the given price list."""
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES.read_text().replace("price = 0.0413", "price = 1.0413"))

    main(["--prices", str(prices), "--set", "high_availability=true"])

    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| Cloud SQL: instance |"))
    assert row.split(" | ")[1] == f"{2 * (2 * 1.0413 + 7.5 * 0.007) * 730:,.2f}"


def test_command_names_a_missing_price(tmp_path: Path) -> None:
    """Your own list may be older than the script."""
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES.read_text().replace("[sql_backup]", "[backup]"))

    with pytest.raises(SystemExit, match="'sql_backup' is missing"):
        main(["--prices", str(prices)])


def test_price_without_a_source_is_refused(tmp_path: Path) -> None:
    """Each price states where it comes from."""
    file = tmp_path / "prices.toml"
    file.write_text('[run_cpu]\nwhat = "CPU"\nunit = "vCPU-second"\nprice = 1\nregion = "europe-west1"\n')

    with pytest.raises(ValueError, match="The price run_cpu has no source"):
        read_prices(file)


def test_free_amounts_and_tiers() -> None:
    """The free amount is subtracted first; then each tier has its price."""
    price = Price("", "thousand", [(10, 2.0), (math.inf, 1.0)], 5, "", "", "", True)

    assert [price.cost(amount) for amount in (4_000, 6_000, 15_000, 17_000)] == [0, 2, 20, 22]
    assert price.cost(17_000, with_free=False) == 27


@pytest.mark.parametrize(
    ("rate", "size", "expected", "most"),
    [
        # rarely: the sum of the requests, each rounded up to 0.2 s
        (1e-4, Size(2, 1, 0, 4), MONTH * 1e-4 * 0.2, 1),
        # always: 100 requests a second of 0.012 s of a CPU keep one of two CPUs busy to 60 %
        (100, Size(2, 1, 0, 4), MONTH, 1),
        (101, Size(2, 1, 0, 4), 2 * MONTH, 2),
        # a GPU is billed for 900 s more
        (1e-6, Size(4, 16, 1, 4), MONTH * 1e-6 * 900.15, 1),
        (0, Size(4, 16, 1, 4), 0, 0),
    ],
)
def test_time_of_instances(rate: float, size: Size, expected: float, most: int) -> None:
    """The formula has the limits of rare and of many requests."""
    time = instance_time(Load(0, rate, 16, 0.15, 0.012), size, {"utilization": 0.6, "idle_seconds": 900})

    assert time.seconds == pytest.approx(expected, rel=1e-3)
    assert time.most == most


def test_busy_system_fits_the_limits_of_terraform() -> None:
    """Otherwise the table would state the price of a system that cannot exist."""
    assert not estimate().shortages


def test_time_of_the_built_in_models_is_measured() -> None:
    """The figures are those of the model card."""
    assert estimate().assumptions.models["compact"]["photo_seconds"] == measured_seconds()["photo_seconds"]
    assert 0.005 < measured_seconds()["photo_seconds"] < 1


def test_estimate_of_a_request_agrees_with_the_price_list() -> None:
    """With the settings of the page, a second of `relay` costs the same there and here."""
    prices = estimate().prices
    size = estimate().months["small", "compact"].deployment.services["relay"]
    values = {name.lower(): prices[price].tiers[0][1] for name, price in SETTINGS.items()}
    instance = {name: environment("relay")[name] for name in ("INSTANCE_VCPUS", "INSTANCE_GIB")}
    settings = Settings.model_validate({**values, **{key.lower(): one for key, one in instance.items()}})

    assert settings.prices is not None
    assert settings.prices.second == pytest.approx(
        prices["run_cpu"].cost(size.vcpus, with_free=False) + prices["run_memory"].cost(size.gib, with_free=False)
    )
    assert settings.prices.request == pytest.approx(prices["run_requests"].cost(1, with_free=False))
    assert {name.lower() for name in [*SETTINGS, *GPU_SETTINGS]} <= Settings.model_fields.keys()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('${var.name == "" ? {} : {a = "B", c = "D"}}', {"a": "B", "c": "D"}),
        ('${var.other != "" ? 1 : 0}', 0),
        ("${var.number > 0 ? 1 : 0}", 1),
        ("${[for name, one in local.items : name if one.yes]}", ["x"]),
        ("${{for name, one in local.items : name => one}}", {"x": {"yes": True}, "y": {"yes": False}}),
        ("text", "text"),
    ],
)
def test_expressions(expression: str, value: object) -> None:
    """The forms that decide how many of a resource there are."""
    items = {"x": {"yes": True}, "y": {"yes": False}}

    assert Scope({"name": "a", "other": "", "number": 3}, {"items": items}).evaluate(expression) == value


def test_unknown_expressions_are_refused() -> None:
    """A wrong number would be worse than none."""
    with pytest.raises(NotEvaluated, match="keys"):
        Scope({}, {}).evaluate("${keys(var.a)}")


def test_numbers_are_aligned_to_the_right() -> None:
    """Markdown's rule for columns of numbers."""
    assert table(["a", "b"], [["x", "1,000.00"]]).splitlines()[1] == "| --- | ---: |"

"""Tests of metrics, dashboard and alerts: filters name what the functions really log, advice names what exists."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from lookalike.bootstrap import services
from lookalike.cli import main
from lookalike.domain.instance import Instance
from lookalike.http import request_timing
from lookalike.logs import JsonFormatter
from lookalike.settings import setting_names
from tests.functions.harness import Client, search_photo, upload_photo
from tests.infra.deployment import terraform

PRICES = {"PRICE_VCPU_SECOND": "0.00002", "INSTANCE_VCPUS": "2"}
CONDITION = re.compile(r'jsonPayload\.([\w.]+)(>=|=)"?([^"\n]+)"?')
USER_METRIC = re.compile(r"\$\{local\.log_metric\}/(\w+)")
Line = dict[str, Any]


@pytest.fixture
def lines(home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[Line]:
    """What the functions log when a photo is uploaded, searched and not found, and when the index is built."""
    for name, value in PRICES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(request_timing, "INSTANCE", Instance())
    client: Client = request.getfixturevalue("client")
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    services()
    logging.getLogger("lookalike").addHandler(handler)
    upload_photo(client, request.getfixturevalue("admin"), image_name="one")
    client("reindex").post("/reindex", json={"force": True})
    search_photo(client, segment=True)
    client("detail").get("/splitted_images/nothing")
    return [json.loads(line) for line in handler.stream.getvalue().splitlines()]


def field(line: Line, path: str) -> Any:
    """Return the value at a path with dots, or `None`."""
    value: Any = line
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def matches(line: Line, filter_text: str) -> bool:
    """Return whether the conditions about fields in a filter of Cloud Logging hold."""
    for path, operator, expected in CONDITION.findall(filter_text):
        value = field(line, path)
        if operator == "=" and json.dumps(value).strip('"') != expected:
            return False
        if operator == ">=" and not (isinstance(value, (int, float)) and value >= float(expected)):
            return False
    return True


def log_metrics() -> dict[str, Any]:
    """Return the metrics from logs, with their filters resolved."""
    lines = {f"${{local.{name}}}": terraform().locals[name] for name in ("request_lines", "index_lines")}
    metrics: dict[str, Any] = {name: dict(metric) for name, metric in terraform().locals["log_metrics"].items()}
    for metric in metrics.values():
        for reference, text in lines.items():
            metric["filter"] = metric["filter"].replace(reference, text)
    return metrics


def test_each_metric_finds_its_fields_in_what_the_functions_log(lines: list[Line]) -> None:
    for name, metric in log_metrics().items():
        assert len(CONDITION.findall(metric["filter"])) >= 2, name
        found = [line for line in lines if matches(line, metric["filter"])]
        assert found, f"no line matches the filter of {name}: {metric['filter']}"
        for path in [*metric["labels"].values(), *filter(None, [metric["value"]])]:
            assert any(field(line, path) is not None for line in found), f"{name}: no line has the field {path}"
        if metric["value"]:
            assert all(isinstance(field(line, metric["value"]), (int, float)) for line in found), name
    count = {name: sum(matches(line, one["filter"]) for line in lines) for name, one in log_metrics().items()}
    assert (count["request_seconds"], count["errors"], count["start_seconds"]) == (4, 1, 1)
    assert count["detect_seconds"] == 2 and count["index_age_seconds"] >= 1


def test_bounds_of_histograms_increase() -> None:
    for name, metric in log_metrics().items():
        bounds = terraform().resolve(metric["bounds"])
        assert bounds == sorted(set(bounds)) and bool(bounds) == bool(metric["value"]), name
    # a value just below 2 and one above it must not be the same to the alert
    assert 2 in log_metrics()["index_builds_behind"]["bounds"]


def charts() -> list[Any]:
    found: list[Any] = terraform().locals["charts"]
    return found


def alerts() -> dict[str, Any]:
    found: dict[str, Any] = terraform().locals["alerts"]
    return found


def test_dashboard_and_alerts_use_metrics_that_exist() -> None:
    queries = [query for chart in charts() for query in chart["queries"]]
    assert all(len(query.keys() & {"log", "run", "sql", "filter"}) == 1 for query in queries)
    used = {query["log"] for query in queries if "log" in query}
    used |= {name for alert in alerts().values() for name in USER_METRIC.findall(alert["filter"])}
    used |= set(re.findall(r"user_lookalike_(\w+?)_sum", terraform().locals["cost_query"]))
    assert used == set(log_metrics())


def test_dashboard_shows_what_operators_ask_for() -> None:
    titles = " ".join(chart["title"] for chart in charts()).lower()
    for subject in (
        "requests",
        "latency by function",
        "errors by code",
        "cold starts",
        "waiting for the models",
        "model time",
        "age of the index by version",
        "recall",
        "waiting for their ingestion",
        "dead letters",
        "database connections",
    ):
        assert subject in titles
    assert "cost" in terraform().locals["cost_widget"]["title"]


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield the `lookalike` commands of an advice as lists of words."""
    for command in re.findall(r"`lookalike ([^`]+)`", text):
        yield command.split()


def find_command(words: list[str]) -> click.Command | None:
    command: click.Command | None = main
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.commands.get(word)
    return command


def test_advice_of_alerts_names_what_exists() -> None:
    policies = terraform().resources_of_type("google_monitoring_alert_policy")
    texts = [alert["advice"] for alert in alerts().values()] + [policies["uptime"]["documentation"][0]["content"]]
    for text in texts:
        assert len(text.split()) > 25, f"an alert must say what to do: {text}"
        for words in commands_in(text):
            command = find_command(words)
            assert command, f"there is no command lookalike {' '.join(words)}"
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options
        for title in re.findall(r"\*([^*\n]+)\*", text):
            assert title in {chart["title"] for chart in charts()}


def test_alerts_cover_the_objectives() -> None:
    assert set(alerts()) >= {"burn_fast", "burn_slow", "dead_letters", "index_behind", "index_silent", "database_disk"}
    assert "builds_behind" in alerts()["index_behind"]["filter"] and alerts()["index_behind"]["threshold"] == 2
    assert alerts()["dead_letters"]["threshold"] == 0
    goal = next(block["availability_goal"] for block in terraform().blocks["variable"] if "availability_goal" in block)
    assert 0.9 <= goal["default"] < 1
    assert "google_billing_budget.lookalike" in terraform().resources


def test_prices_and_traces_are_settings_and_standard_variables() -> None:
    assert PRICES.keys() <= set(setting_names())
    measurement = terraform().locals["measurement"]
    assert "https://telemetry.googleapis.com/v1/traces" in measurement and "gcp.project_id=" in measurement
    assert terraform().resources["google_project_iam_member.traces"]["role"] == "roles/telemetry.tracesWriter"

"""`lookalike keys`."""

import json
from datetime import datetime, timedelta

import pytest

from lookalike.bootstrap import Services
from lookalike.domain.api_keys import KeyRole
from tests.cli.conftest import run


def listed() -> list[dict[str, object]]:
    """Return what `keys list --json` prints."""
    result = run("keys", "list", "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def test_created_key_is_printed_once_and_works(real: Services) -> None:
    options = ("--role", "search", "--filter", '{"brand": "Ost"}', "--expires", "30d", "--name", "shop")
    result = run(
        "keys", "create", *options, "--per-minute", "60", "--per-address", "5", "--origin", "https://a.example"
    )
    assert result.exit_code == 0, result.output
    text = result.stdout.strip()
    key = real.api_keys.verify(text, "https://a.example")
    assert (key.role, key.name, key.filter_json) == (KeyRole.SEARCH, "shop", '{"brand": "Ost"}')
    assert (key.requests_per_minute, key.requests_per_address) == (60, 5)
    assert key.expires == key.created + timedelta(days=30) and "cannot be shown again" in result.stderr
    (shown,) = listed()
    assert shown["filter"] == {"brand": "Ost"} and shown["origins"] == ["https://a.example"]
    assert datetime.fromisoformat(str(shown["last_used"])) >= key.created and shown["revoked"] is None
    table = run("keys", "list").output
    assert "60/5" in table and '{"brand": "Ost"}' in table and text.split("_")[2] not in table + json.dumps(shown)


def test_revoked_key_is_shown_as_such(real: Services) -> None:
    text = run("keys", "create").stdout.strip()
    key_id = text.split("_")[1]
    assert f"Key {key_id} is revoked" in run("keys", "revoke", key_id).output
    assert listed()[0]["revoked"] and "revoked 20" in run("keys", "list").output
    unknown = run("keys", "revoke", "nothing")
    assert unknown.exit_code == 1 and "keys list" in unknown.output


@pytest.mark.parametrize(("lifetime", "seconds"), [("45m", 2700), ("12h", 43_200), ("1d", 86_400), ("never", None)])
def test_lifetimes(real: Services, lifetime: str, seconds: int | None) -> None:
    run("keys", "create", "--expires", lifetime)
    (key,) = real.api_keys.list_keys()
    assert (key.expires and (key.expires - key.created).total_seconds()) == seconds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--expires", "0d"), "not a lifetime"),
        (("--expires", "tomorrow"), "not a lifetime"),
        (("--expires", "99999d1"), "not a lifetime"),
        (("--filter", "{}"), "an empty filter restricts nothing"),
        (("--filter", '{"colour": "red"}'), "--filter"),
        (("--filter", "brand=Ost"), "--filter"),
        (("--role", "admin", "--filter", '{"brand": "Ost"}'), "cannot have a filter"),
        (("--role", "owner"), "Invalid value"),
        (("--origin", "https://shop.example/page"), "without a path"),
        (("--per-minute", "-1"), "per_minute"),
    ],
)
def test_invalid_options_create_nothing(real: Services, options: tuple[str, ...], message: str) -> None:
    result = run("keys", "create", *options)
    assert result.exit_code != 0 and message in result.output and "Traceback" not in result.output
    assert listed() == []

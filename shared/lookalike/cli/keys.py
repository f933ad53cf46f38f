"""`lookalike keys …`"""

import json
import re
from datetime import datetime, timedelta

import click

from lookalike.cli.common import open_services, parse_filter, report_errors
from lookalike.domain.errors import LookalikeError

UNITS = {"d": "days", "h": "hours", "m": "minutes"}
NEVER = "never"


def parse_lifetime(_context: click.Context, _option: click.Parameter, value: str) -> timedelta | None:
    """Return the time that a text such as `30d` or `12h` means, and `None` for `never`. Raises `BadParameter`."""
    if value == NEVER:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,4})([dhm])", value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not a lifetime: use 30d, 12h, 45m or never")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


@click.group()
def keys() -> None:
    """API keys of web pages and programs."""


@keys.command("create")
@click.option("--role", type=click.Choice(["search", "admin"]), default="search", show_default=True)
@click.option("--name", default="", help="A description for you, shown by `keys list`.")
@click.option("--filter", "filter_json", help='Only garments that match are found, as JSON: {"brand": "Ost"}.')
@click.option("--expires", callback=parse_lifetime, default="365d", show_default=True, help="30d, 12h, 45m or never.")
@click.option("--per-minute", type=int, default=600, show_default=True, help="Requests a minute; 0: no limit.")
@click.option("--per-address", type=int, default=0, show_default=True, help="Of these from one address; 0: no limit.")
@click.option("--origin", "origins", multiple=True, help="Web pages that may use it: https://shop.example. Repeatable.")
@report_errors
def keys_create(
    role: str,
    name: str,
    filter_json: str | None,
    expires: timedelta | None,
    per_minute: int,
    per_address: int,
    origins: tuple[str, ...],
) -> None:
    """Create a key and print it once: only its checksum is stored."""
    from lookalike.domain.api_keys import KeyRole
    from lookalike.usecases.api_keys import KeyRequest

    if filter_json is not None and not parse_filter(filter_json):
        raise LookalikeError("--filter: an empty filter restricts nothing; leave the option out")
    conditions = json.loads(filter_json or "{}")
    request = KeyRequest(KeyRole(role), name, conditions, per_minute, per_address, origins, expires)
    key, text = open_services().api_keys.create(request)
    click.echo(text)
    until = f"until {_date(key.expires)}" if key.expires else "without end"
    click.echo(f"Key {key.id}, valid {until}. Copy it now: it cannot be shown again", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the keys as JSON, one on each line.")
@report_errors
def keys_list(as_json: bool) -> None:
    """List all keys, newest first, with their last use."""
    from lookalike.domain.api_keys import ApiKey

    def describe(key: ApiKey) -> dict[str, object]:
        times = {"created": key.created, "expires": key.expires, "revoked": key.revoked, "last_used": key.last_used}
        return {
            "id": key.id,
            "name": key.name,
            "role": str(key.role),
            "filter": json.loads(key.filter_json),
            "per_minute": key.requests_per_minute,
            "per_address": key.requests_per_address,
            "origins": list(key.origins),
            **{name: moment.isoformat() if moment else None for name, moment in times.items()},
        }

    def row(key: ApiKey) -> tuple[str, ...]:
        state = f"revoked {_date(key.revoked)}" if key.revoked else _date(key.expires) or NEVER
        limit = f"{key.requests_per_minute or '-'}/{key.requests_per_address or '-'}"
        return key.id, key.name, str(key.role), limit, state, _date(key.last_used) or NEVER, key.filter_json

    found = open_services().api_keys.list_keys()
    if as_json:
        for key in found:
            click.echo(json.dumps(describe(key)))
    else:
        _print_table([("id", "name", "role", "limits", "expires", "last use", "filter"), *map(row, found)])


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
@report_errors
def keys_revoke(key_id: str) -> None:
    """Revoke the key ID: the next request with it is refused."""
    key = open_services().api_keys.revoke(key_id)
    click.echo(f"Key {key.id} is revoked since {_date(key.revoked)}")


def _date(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

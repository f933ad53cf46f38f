"""`lookalike serve` and `lookalike token`."""

from pathlib import Path

import click

import lookalike
from lookalike.cli.common import open_services, report_errors

FUNCTIONS_FOLDER = Path(lookalike.__file__).parents[2] / "functions"
SECONDS_PER_DAY = 86_400


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@report_errors
def serve(host: str) -> None:
    """Serve all functions and the web page on one port."""
    from lookalike.local.server import serve as run_server

    services = open_services(quiet=False)
    settings = services.settings
    address = f"http://localhost:{settings.port}"

    def print_token() -> None:
        token = create_admin_token(30)
        click.echo(f"\nAdministrator's token (valid for 30 days; `lookalike token` creates another):\n{token}\n")
        if notice := services.missing_vectors.notice():
            click.echo(f"Note: {notice}.\n")
        click.echo(f"Ready: {address}/#token={token}\n")

    run_server(FUNCTIONS_FOLDER, host, settings.port, settings.concurrency, print_token)


@click.command()
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="Days that it is valid.")
@report_errors
def token(days: int) -> None:
    """Create an administrator's access token for this machine."""
    click.echo(create_admin_token(days))


def create_admin_token(days: int) -> str:
    """Issue a token for a local administrator. Raises `ClickException` if AUTH_URL names a sign-in service."""
    from lookalike.adapters.local_auth import LocalAuth
    from lookalike.domain.model import User

    auth = open_services(quiet=False).auth
    if not isinstance(auth, LocalAuth):
        raise click.ClickException("AUTH_URL names a sign-in service; sign in there to get a token")
    return auth.issue(User("local-admin", "admin@localhost", "admin"), days * SECONDS_PER_DAY)

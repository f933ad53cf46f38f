"""Addresses and sections of the page for administrators."""

from playwright.sync_api import Page

from tests.e2e.server import Server


def admin_url(server: Server, with_token: bool = True) -> str:
    """Return the address of the page."""
    return f"http://localhost:{server.port}/admin{f'#token={server.token}' if with_token else ''}"


def open_section(page: Page, section: str, *path: str) -> None:
    """Show a section of the page."""
    page.evaluate("fragment => { location.hash = fragment; }", "/".join((f"#{section}", *path)))
    page.locator(f".section.{section} h2").wait_for()

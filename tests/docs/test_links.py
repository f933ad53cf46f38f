"""Relative links of the documentation lead to files and headings that exist."""

from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, anchors, links, pages

LINKED = [*pages(), ROOT / "infra/training/README.md", ROOT / "shared/lookalike/weights/CARD.md"]
MAX_README_LINES = 150


def relative_links(page: Path) -> list[str]:
    return [link for link in links(page) if "://" not in link and not link.startswith("mailto:")]


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files_and_headings(page: Path) -> None:
    for link in relative_links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}, which does not exist"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}: {target.name} has no such heading"


def test_pages_of_the_site_link_only_to_each_other() -> None:
    """A link out of docs/ would work in the repository and be broken on the site."""
    for page in ROOT.glob("docs/**/*.md"):
        for link in relative_links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            assert target.is_relative_to(ROOT / "docs"), f"{page.name} links to {link}"


def test_every_page_of_the_site_is_in_its_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in ROOT.glob("docs/**/*.md"):
        assert str(page.relative_to(ROOT / "docs")) in navigation


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= MAX_README_LINES

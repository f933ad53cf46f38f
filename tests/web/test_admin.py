"""Static checks of the page for administrators: HTML, CSS and JavaScript modules fit together. No browser is needed."""

import re
from functools import cache

from lookalike.local.static_files import WEB_FOLDER
from tests.web.test_page import MAX_MODULE_LINES, exports

ADMIN = WEB_FOLDER / "admin"
STATES = {"stored", "failed", "running"}
"""Classes that are named after the state of an upload."""


@cache
def html() -> str:
    return (ADMIN / "index.html").read_text()


@cache
def modules() -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(ADMIN.glob("*.js"))}


def imports(source: str) -> list[tuple[set[str], str]]:
    """Return the imported names and the path of each import."""
    found = re.findall(r'^import \{([^}]+)\} from "([^"]+)";', source, re.MULTILINE)
    return [({one.strip() for one in names.split(",")} - {""}, target) for names, target in found]


def test_page_starts_its_module_and_links_every_stylesheet() -> None:
    assert '<script type="module" src="web/admin/main.js"></script>' in html() and "main.js" in modules()
    linked = re.findall(r'<link rel="stylesheet" href="web/admin/([^"]+)">', html())
    assert set(linked) == {file.name for file in ADMIN.glob("*.css")}


def test_every_import_names_an_export_and_is_used() -> None:
    for name, source in modules().items():
        for names, target in imports(source):
            assert names <= exports((ADMIN / target).resolve().read_text()), (name, target)
            for one in names:
                assert len(re.findall(rf"\b{one}\b", source)) > 1, (name, one)


def test_every_export_is_imported() -> None:
    imported = {(target, one) for source in modules().values() for names, target in imports(source) for one in names}
    for name, source in modules().items():
        assert {(f"./{name}", one) for one in exports(source)} <= imported, name


def test_modules_use_ids_of_the_page() -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', html()))
    used = {one for source in modules().values() for one in re.findall(r'byId\("([^"]+)"\)', source)}
    assert used <= ids and set(re.findall(r'(?:for|aria-labelledby|aria-describedby)="([^"]+)"', html())) <= ids


def test_stylesheets_select_existing_classes() -> None:
    css = re.sub(r"/\*.*?\*/", "", "\n".join(file.read_text() for file in ADMIN.glob("*.css")), flags=re.DOTALL)
    selectors = " ".join(re.findall(r"(?:^|[{}])([^{}@;]+)\{", css))
    text = html() + "".join(modules().values())
    named = {name for value in re.findall(r'class(?:Name)?(?:=|: |=\s|\s=\s)"([^"]+)"', text) for name in value.split()}
    named |= {name for value in re.findall(r"class: `([^`]+)`", text) for name in re.findall(r"[\w-]+", value)}
    named |= set(re.findall(r'classList\.(?:add|toggle)\("([^"]+)"', text))
    assert set(re.findall(r"\.([A-Za-z][\w-]*)", selectors)) <= named | STATES | {"others"}


def test_every_exported_name_has_documentation() -> None:
    for name, source in modules().items():
        lines = source.splitlines()
        assert lines[0].startswith("/**"), name
        for number, line in enumerate(lines):
            if line.startswith("export "):
                assert lines[number - 1].rstrip().endswith("*/"), (name, line)


def test_modules_are_small_and_insert_no_html() -> None:
    assert max(len(source.splitlines()) for source in modules().values()) <= MAX_MODULE_LINES
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", "".join(modules().values())
    )

"""Static checks of the web pages: HTML, CSS and JavaScript modules fit together. No browser is needed."""

import re
from functools import cache

import lookalike
from lookalike.local.static_files import WEB_FOLDER

MAX_MODULE_LINES = 150
PACKAGE_DATA = ("web/*", "web/js/*", "web/admin/*")
"""Globs in pyproject.toml that put the files into the wheel."""


PAGES = {"index.html": "main.js", "searches.html": "searches.js"}
"""Pages and the modules that they start."""


@cache
def html() -> str:
    return "".join((WEB_FOLDER / page).read_text() for page in PAGES)


@cache
def css() -> str:
    source = "\n".join(file.read_text() for file in sorted(WEB_FOLDER.glob("*.css")))
    return re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)


@cache
def modules() -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted((WEB_FOLDER / "js").glob("*.js"))}


def element_ids() -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', html()))


def class_names() -> set[str]:
    """Return the CSS classes of the HTML and of the modules."""
    source = "".join(modules().values())
    in_html = {name for value in re.findall(r'class="([^"]+)"', html()) for name in value.split()}
    return in_html | set(re.findall(r'(?:classList\.(?:add|toggle)\(|className = )"([^"]+)"', source))


def test_pages_start_their_modules() -> None:
    for page, module in PAGES.items():
        tag = f'<script type="module" src="web/js/{module}"></script>'
        assert tag in (WEB_FOLDER / page).read_text() and module in modules()


def test_pages_link_every_stylesheet() -> None:
    linked = re.findall(r'<link rel="stylesheet" href="web/([^"]+)">', html())
    assert set(linked) == {file.name for file in WEB_FOLDER.glob("*.css")}


def test_page_uses_the_widget_as_other_pages_do() -> None:
    page = (WEB_FOLDER / "index.html").read_text()
    assert '<script src="widget/lookalike-search.js"></script>' in page and "<lookalike-search " in page


def exports(source: str) -> set[str]:
    """Return the names that a module exports, its own and those of others."""
    own = re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", source, re.MULTILINE)
    passed_on = re.findall(r"^export \{([^}]+)\};", source, re.MULTILINE)
    return {*own, *(one.strip() for names in passed_on for one in names.split(","))}


def test_every_import_names_an_export() -> None:
    for name, source in modules().items():
        for names, target in re.findall(r'^import \{([^}]+)\} from "\./([\w.]+)";', source, re.MULTILINE):
            assert {one.strip() for one in names.split(",")} <= exports(modules()[target]), (name, target)


def test_every_export_is_imported() -> None:
    # the pages for administrators share some modules
    sources = [file.read_text() for file in WEB_FOLDER.rglob("*.js")]
    imports = re.findall(r"^import \{([^}]+)\} from", "\n".join(sources), re.MULTILINE)
    imported = {one.strip() for names in imports for one in names.split(",")}
    for name, source in modules().items():
        assert (
            set(re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", source, re.MULTILINE)) <= imported
        ), name


def test_modules_import_each_other_without_cycles() -> None:
    imports = {
        name: set(re.findall(r'^import .* from "\./([\w.]+)";', source, re.MULTILINE))
        for name, source in modules().items()
    }
    while leaves := {name for name, targets in imports.items() if not targets & imports.keys()}:
        imports = {name: targets for name, targets in imports.items() if name not in leaves}
    assert imports == {}


def test_modules_use_ids_of_the_pages() -> None:
    used = {one for source in modules().values() for one in re.findall(r'(?:byId|cloneTemplate)\("([^"]+)"\)', source)}
    assert used <= element_ids()


def test_pages_reference_existing_ids() -> None:
    attributes = re.findall(r'(?:for|aria-labelledby)="([^"]+)"', html())
    assert set(attributes) <= element_ids()


def test_stylesheet_selects_existing_ids_and_classes() -> None:
    selectors = " ".join(re.findall(r"(?:^|[{}])([^{}@;]+)\{", css()))
    assert set(re.findall(r"#([A-Za-z][\w-]*)", selectors)) <= element_ids()
    assert set(re.findall(r"\.([A-Za-z][\w-]*)", selectors)) <= class_names()


def test_every_exported_function_has_documentation() -> None:
    for name, source in modules().items():
        lines = source.splitlines()
        assert lines[0].startswith("/**"), name
        for number, line in enumerate(lines):
            if re.match(r"export (async )?(function|const|class) ", line) and not line.startswith("export const state"):
                assert lines[number - 1].rstrip().endswith("*/"), (name, line)


def test_modules_stay_small() -> None:
    assert max(len(source.splitlines()) for source in modules().values()) <= MAX_MODULE_LINES


def test_modules_insert_no_html() -> None:
    source = "".join(modules().values())
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source)


def test_package_contains_every_file() -> None:
    package = WEB_FOLDER.parent
    assert package.name == lookalike.__name__
    packaged = {file for glob in PACKAGE_DATA for file in package.glob(glob)}
    assert {file for file in WEB_FOLDER.rglob("*") if file.is_file()} <= packaged
    project = (package.parents[1] / "pyproject.toml").read_text()
    assert all(f'"{glob}"' in project for glob in PACKAGE_DATA)


def test_first_paint_waits_for_one_style_sheet_the_widget_and_the_texts() -> None:
    head = (WEB_FOLDER / "index.html").read_text().partition("</head>")[0]
    scripts = re.findall(r"<script ([^>]*)>", head)
    blocking = [one for one in scripts if "async" not in one and ('type="module"' not in one or "blocking" in one)]
    sources = re.findall(r'src="([^"]+)"', " ".join(blocking))
    assert sources == ["widget/lookalike-search.js", "web/js/language.js"]
    assert len(re.findall(r'rel="stylesheet"', head)) == 1
    imported = re.findall(r'^import .* from "([^"]+)"', modules()["language.js"], re.MULTILINE)
    assert imported == ["../strings.json", "./dom.js", "./translator.js"]
    assert not re.search(r"^import ", modules()["translator.js"] + modules()["dom.js"], re.MULTILINE)
    assert not re.search(r"@import|@font-face|https?:", css())

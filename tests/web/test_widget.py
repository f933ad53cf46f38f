"""Static checks of the web widget: the built script is up to date and small, and its parts fit together."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

from infra.widget.build import ENTRY, MAX_BYTES, OUTPUT, SOURCE, build, compressed_size, order_modules, parse_layout
from lookalike.domain import errors
from lookalike.domain.color import BASIC_COLORS
from lookalike.domain.errors import LookalikeError

MAX_MODULE_LINES = 220
LANGUAGES = {"en", "de", "fr", "es", "zh", "ja"}
KINDS = {"top", "outerwear", "dress", "trousers", "shorts", "skirt", "shoes", "bag", "hat", "scarf"}
"""Garment kinds of the built-in detector."""


@cache
def strings() -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads((SOURCE / "strings.json").read_text())
    return content


@cache
def source() -> str:
    return "".join(module.read_text() for module in sorted(SOURCE.glob("*.js")))


@cache
def layout() -> str:
    return (SOURCE / "widget.html").read_text()


@cache
def style() -> str:
    return re.sub(r"/\*.*?\*/", "", (SOURCE / "widget.css").read_text(), flags=re.DOTALL)


def test_script_is_up_to_date_and_small() -> None:
    """If it fails: `make widget`."""
    script = build()
    assert OUTPUT.read_text() == script
    assert compressed_size(script) <= MAX_BYTES


def test_every_module_is_part_of_the_script() -> None:
    assert {module for module in order_modules(ENTRY) if module.parent == SOURCE} == set(SOURCE.glob("*.js"))


def test_every_language_has_every_string() -> None:
    assert strings().keys() == LANGUAGES
    keys = strings()["en"].keys()
    for language, texts in strings().items():
        assert texts.keys() == keys, language
        assert all(texts.values()), language


def test_translations_have_the_placeholders_of_the_english_text() -> None:
    for key, english in strings()["en"].items():
        for language, texts in strings().items():
            expected = set(re.findall(r"\{(\w+)\}", english))
            if key.endswith(".one"):
                expected |= {"count"}
                assert set(re.findall(r"\{(\w+)\}", texts[key])) <= expected, (key, language)
            else:
                assert set(re.findall(r"\{(\w+)\}", texts[key])) == expected, (key, language)


def test_strings_name_what_the_server_has() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LookalikeError)]
    # the widget shows the status of a canceled request itself
    codes = {kind.code for kind in kinds} - {"cancelled"}
    keys = strings()["en"].keys()
    assert {f"error.{code}" for code in codes} <= keys
    assert {key.removeprefix("color.") for key in keys if key.startswith("color.")} == set(BASIC_COLORS)
    assert {key.removeprefix("label.") for key in keys if key.startswith("label.")} == KINDS


def test_every_string_is_used_and_every_used_string_exists() -> None:
    in_layout = set(re.findall(r'data-(?:text|label|title|placeholder|alt)="([^"]+)"', layout()))
    # second and third arguments of a conditional, too
    calls = re.findall(r"\.text\(([^()]*(?:\([^()]*\))?[^()]*)\)", source())
    in_modules = {key for call in calls for key in re.findall(r'"([a-z][\w.-]*)"', call.split(", {")[0])}
    keys = {re.sub(r"\.(one|other)$", "", key) for key in strings()["en"]}
    used = in_layout | in_modules
    assert used <= keys, used - keys
    unused = {key for key in keys - used if not key.startswith(("error.", "label.", "color.", "field."))}
    assert unused == set()


def test_basic_colors_are_those_of_the_server() -> None:
    text = (SOURCE / "basic-colors.js").read_text()
    assert dict(re.findall(r'^  (\w+): "(#[0-9a-f]{6})",$', text, re.MULTILINE)) == BASIC_COLORS


def test_modules_use_ids_and_templates_of_the_layout() -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', layout()))
    assert set(re.findall(r'byId\("([^"]+)"\)', source())) - {"widget"} <= ids
    assert set(re.findall(r'\bcreate\("([^"]+)"\)', source())) <= parse_layout(layout()).keys()
    assert set(re.findall(r'(?:for|aria-labelledby|aria-describedby)="([^"]+)"', layout())) <= ids


def test_style_selects_what_exists() -> None:
    selectors = " ".join(re.findall(r"(?:^|[{}])([^{}@;]+)\{", style()))
    ids = set(re.findall(r'\bid="([^"]+)"', layout())) | {"widget"}
    assert set(re.findall(r"#([A-Za-z][\w-]*)", selectors)) <= ids
    in_layout = {name for value in re.findall(r'class="([^"]+)"', layout()) for name in value.split()}
    in_modules = re.findall(r'(?:classList\.(?:add|toggle)\(|className = )"([^"]+)"', source())
    assert set(re.findall(r"\.([A-Za-z][\w-]*)", selectors)) <= in_layout | set(in_modules)


def test_no_markup_is_parsed_and_no_style_attribute_is_set() -> None:
    """So that the widget works on pages with a strict content security policy and with trusted types."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source())
    assert not re.search(r"setAttribute\(\"style|\bstyle=\"", source() + layout())


def test_modules_stay_small_and_documented() -> None:
    for module in SOURCE.glob("*.js"):
        lines = module.read_text().splitlines()
        assert len(lines) <= MAX_MODULE_LINES and lines[0].startswith("/**"), module.name
        for number, line in enumerate(lines):
            if re.match(r"export (async )?(function|const|class) ", line):
                assert lines[number - 1].rstrip().endswith("*/"), (module.name, line)


def test_build_rejects_names_that_collide_and_cycles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nconst shared = b;\n')
    (tmp_path / "b.js").write_text("export const b = 1;\nconst shared = 2;\n")
    monkeypatch.setattr("infra.widget.build.ENTRY", tmp_path / "a.js")
    with pytest.raises(ValueError, match="declare shared"):
        build()
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport const b = a;\n')
    with pytest.raises(ValueError, match=r"a\.js → b\.js → a\.js"):
        build()

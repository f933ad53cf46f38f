"""Texts of the web pages: complete in each language, used, and nowhere else."""

import json
import re
from functools import cache
from html.parser import HTMLParser

import pytest

from infra.widget.build import SOURCE
from lookalike.domain import errors
from lookalike.domain.errors import LookalikeError
from lookalike.local.static_files import WEB_FOLDER
from tests.web.test_page import PAGES, html, modules
from tests.web.test_widget import LANGUAGES

ATTRIBUTES_WITH_TEXT = {"aria-label", "alt", "placeholder", "title"}
BRAND = "lookalike"
DYNAMIC = ("error.", "label.", "field.")
"""Prefixes of keys that the modules put together."""
ENGLISH_MODULES = {"client.js"}
"""Their messages are shown on English pages only: elsewhere, that of the error code is."""


@cache
def strings() -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads((WEB_FOLDER / "strings.json").read_text())
    return content


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_every_language_has_every_string() -> None:
    assert strings().keys() == LANGUAGES
    for language, texts in strings().items():
        assert texts.keys() == strings()["en"].keys(), language
        assert all(texts.values()), language


def test_translations_have_the_placeholders_of_the_english_text() -> None:
    for key, english in strings()["en"].items():
        for language, texts in strings().items():
            # "1 search" may be written out
            assert placeholders(texts[key]) - {"count"} == placeholders(english) - {"count"}, (key, language)
            if not key.endswith(".one"):
                assert placeholders(texts[key]) == placeholders(english), (key, language)


def test_pages_and_widget_name_garments_alike_and_know_each_error() -> None:
    widget = json.loads((SOURCE / "strings.json").read_text())
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LookalikeError)]
    for language, texts in strings().items():
        labels = {key: text for key, text in widget[language].items() if key.startswith("label.")}
        assert labels == {key: text for key, text in texts.items() if key.startswith("label.")}
        assert {f"error.{kind.code}" for kind in kinds} - {"error.cancelled"} <= texts.keys()


def test_every_string_is_used_and_every_used_string_exists() -> None:
    in_pages = set(re.findall(r'data-(?:text|label|title|placeholder|alt)="([^"]+)"', html()))
    code = "\n".join(modules().values())
    calls = re.findall(r"\btext\(([^()]*)", code)
    in_modules = {key for call in calls for key in re.findall(r'"([a-z][\w.-]*)"', call.split(", {")[0])}
    keys = {re.sub(r"\.(one|other)$", "", key) for key in strings()["en"]}
    assert in_pages | in_modules <= keys
    unused = {key for key in keys - in_pages - in_modules if not key.startswith(DYNAMIC) and f'"{key}"' not in code}
    # the list of languages reads this one from all languages
    assert unused <= {"language-name"}


class VisibleText(HTMLParser):
    """Collects the texts that a page shows itself. Code is the same in each language."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ATTRIBUTES_WITH_TEXT and value]
        if tag not in {"meta", "link", "input", "img"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        # without JavaScript, there is no other language
        if not {"code", "noscript"} & set(self._open) and re.search(r"\w", data):
            self.found.append(data.strip())


@pytest.mark.parametrize("page", PAGES)
def test_pages_have_no_text_of_their_own(page: str) -> None:
    parser = VisibleText()
    parser.feed((WEB_FOLDER / page).read_text())
    assert set(parser.found) == {BRAND}


def test_modules_have_no_text_of_their_own() -> None:
    """Words separated by a space in quotation marks are a text. Class names and selectors have none."""
    for name, source in modules().items():
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", source, flags=re.DOTALL)
        quoted = re.findall(r'"[^"\n]*"|`[^`]*`', code)
        texts = [one for one in quoted if re.search(r"[A-Za-z]{2,},? [a-z]{2,}", one)]
        assert name in ENGLISH_MODULES or texts == [], name

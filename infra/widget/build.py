"""Build the web widget: one script from the modules, the layout, the style and the strings in this folder.

The result is committed, so that nothing has to be built to run or install lookalike. A test compares it.
"""

import gzip
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import minify

SOURCE = Path(__file__).parent
ENTRY = SOURCE / "element.js"
OUTPUT = SOURCE.parents[1] / "shared" / "lookalike" / "web" / "lookalike-search.js"
MAX_BYTES = 30_000
"""Limit of the compressed size."""
IMPORT = re.compile(
    r'^import (?:\{[^}]*\}|(?P<name>\w+)) from "(?P<file>[\w./-]+)"(?: with \{[^}]*\})?;\n', re.MULTILINE
)
DECLARATION = re.compile(r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)
HEADER = "/* lookalike: the element <lookalike-search>. Built by infra/widget/build.py, see docs/widget.md. */\n"
VOID_TAGS = {"input", "img"}
Node = list[Any]
"""An element: `[tag, attributes, *children]`. Text is a string."""


def build() -> str:
    """Return the script. Raises `ValueError` if two modules declare the same name, or import each other in a cycle."""
    modules = order_modules(ENTRY)
    declared: dict[str, Path] = {}
    for module in modules:
        for identifier in DECLARATION.findall(module.read_text()):
            if other := declared.get(identifier):
                raise ValueError(
                    f"{module.name} and {other.name} declare {identifier}; in the widget they share a scope"
                )
            declared[identifier] = module
    code = "".join(map(render_module, modules))
    return f"{HEADER}{minify.string('text/javascript', f'(()=>{{{code}}})()')};\n"


def compressed_size(script: str) -> int:
    """Return the number of bytes after compression by gzip."""
    return len(gzip.compress(script.encode(), mtime=0))


def order_modules(entry: Path) -> list[Path]:
    """Return the modules that `entry` needs, each after its imports."""
    ordered: list[Path] = []
    open_modules: list[Path] = []

    def visit(module: Path) -> None:
        if module in ordered:
            return
        if module in open_modules:
            raise ValueError(f"Modules import each other: {' → '.join(one.name for one in [*open_modules, module])}")
        open_modules.append(module)
        for found in IMPORT.finditer(module.read_text()):
            if not found["name"]:
                visit((module.parent / found["file"]).resolve())
        open_modules.remove(module)
        ordered.append(module)

    visit(entry.resolve())
    return ordered


def render_module(module: Path) -> str:
    """Return a module without imports and exports. Imports of other files become constants with their content."""

    def inline(found: re.Match[str]) -> str:
        return f"const {found['name']}={load_file(module.parent / found['file'])};\n" if found["name"] else ""

    text = IMPORT.sub(inline, module.read_text())
    return re.sub(r"^export ", "", text, flags=re.MULTILINE)


def load_file(path: Path) -> str:
    """Return a JavaScript expression with the content of a file: data for HTML and JSON, text for CSS."""
    text = path.read_text()
    match path.suffix:
        case ".json":
            return render_strings(json.loads(text))
        case ".html":
            return to_json(parse_layout(text))
        case _:
            return to_json(minify_css(text))


def render_strings(languages: dict[str, dict[str, str]]) -> str:
    """Return an expression for the strings by language that has each key once."""
    keys = list(next(iter(languages.values())))
    texts = {language: [strings[key] for key in keys] for language, strings in languages.items()}
    pairs = "Object.entries(T).map(([l,t])=>[l,Object.fromEntries(t.map((s,i)=>[K[i],s]))])"
    return f"((K,T)=>Object.fromEntries({pairs}))({to_json(keys)},{to_json(texts)})"


def minify_css(text: str) -> str:
    """Return a style sheet without comments and without white space that has no meaning."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", text)
    return re.sub(r" ?([{};,]) ?", r"\1", text).replace(";}", "}").strip()


class LayoutParser(HTMLParser):
    """Reads the elements of the layout."""

    def __init__(self) -> None:
        super().__init__()
        self.root: Node = ["", {}]
        self._open: list[Node] = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        # the parser lowers the case of names
        node: Node = [tag, {name.replace("viewbox", "viewBox"): value or "" for name, value in attrs}]
        self._open[-1].append(node)
        if tag not in VOID_TAGS:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        """End an element. Raises `ValueError` if another one is open."""
        if self._open[-1][0] != tag:
            raise ValueError(f"</{tag}> in line {self.getpos()[0]} does not end <{self._open[-1][0]}>")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Add text. White space between elements on different lines has no meaning."""
        if data.strip() or "\n" not in data:
            self._open[-1].append(data)


def parse_layout(text: str) -> dict[str, Node]:
    """Return the element of each template by its id, and `<main>` as "main"."""
    parser = LayoutParser()
    parser.feed(text)
    layout: dict[str, Node] = {}
    for tag, attributes, *children in (child for child in parser.root[2:] if isinstance(child, list)):
        if tag == "main":
            # a page has a <main> of its own
            layout["main"] = ["div", attributes, *children]
        else:
            layout[attributes["id"]] = next(child for child in children if isinstance(child, list))
    return layout


def to_json(value: object) -> str:
    """Return compact JSON, which is valid JavaScript."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    """Write the widget."""
    script = build()
    size = compressed_size(script)
    if size > MAX_BYTES:
        sys.exit(f"The widget has {size} bytes compressed, more than {MAX_BYTES}")
    OUTPUT.write_text(script)
    print(f"{OUTPUT.name}: {len(script.encode()) / 1000:.1f} kB, {size / 1000:.1f} kB compressed")


if __name__ == "__main__":
    main()

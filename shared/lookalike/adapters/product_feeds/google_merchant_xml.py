"""Feeds of the Google Merchant product data specification as RSS 2.0 or Atom XML, in constant memory.

Uses expat of the standard library. The attacks that defusedxml defends against need a document type declaration, which
is refused here in the same way: by a handler that raises. Long tokens are limited as well, since expat before 2.6 reads
them in quadratic time (CVE-2023-52425).
"""

import html
import io
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from lookalike.adapters.product_feeds.columns import column_name
from lookalike.adapters.product_feeds.limits import MAX_COLUMNS, MAX_LINE_LENGTH
from lookalike.adapters.product_feeds.products import known_id, read_line
from lookalike.domain.errors import BadRequest
from lookalike.domain.product import FeedLine, InvalidFeedLine

CHUNK_SIZE = 1 << 16
MAX_TOKEN_SIZE = 1 << 20
"""Bytes of a tag, a comment or another token."""
MAX_DEPTH = 50
ROOTS = frozenset({"rss", "feed", "rdf", "channel"})
ITEMS = frozenset({"item", "entry"})
DESCRIPTIONS = ("description", "content", "summary")
"""Elements with a description, best first. They may contain HTML or XHTML."""
GOOGLE_NAMESPACE = "base.google.com/ns/"


@dataclass(slots=True)
class _Element:
    """An element of an item: its text, the markup of its descendants, and its children."""

    prefix: str
    name: str
    parts: list[tuple[bool, str]] = field(default_factory=list)
    """Texts, and whether each is markup."""
    children: list[tuple[str, str]] = field(default_factory=list)
    child: str = ""
    child_text: list[str] = field(default_factory=list)
    address: str = ""
    """The attribute `href` of an Atom link."""
    relation: str = ""

    def text(self) -> str:
        """The text. XHTML is written as HTML."""
        if any(is_markup for is_markup, _ in self.parts):
            return "".join(text if is_markup else html.escape(text, quote=False) for is_markup, text in self.parts)
        return "".join(text for _, text in self.parts)

    def value(self) -> str:
        """The value of an element that is not a description; children become a JSON object."""
        if not self.children:
            return self.text().strip() or self.address.strip()
        values: dict[str, list[str]] = {}
        for name, text in self.children:
            values.setdefault(name, []).append(text.strip())
        flat = {name: texts[0] if len(texts) == 1 else texts for name, texts in values.items()}
        return json.dumps(flat, ensure_ascii=False)


def parse(stream: io.RawIOBase, currency: str | None) -> Iterator[FeedLine | InvalidFeedLine]:
    """Yield one result per item. Raises `BadRequest` where the XML cannot be read any further."""
    results: deque[FeedLine | InvalidFeedLine] = deque()
    reader = _ItemReader(lambda number, items: results.append(_read_item(number, items, currency)), results.append)
    is_last = False
    while not is_last:
        chunk = stream.read(CHUNK_SIZE) or b""
        is_last = not chunk
        problem = None
        try:
            reader.feed(chunk)
        except BadRequest as error:
            # items before the damaged place are results, too
            problem = error
        while results:
            yield results.popleft()
        if problem:
            raise problem


class _ItemReader:
    """Calls `found` with the number and the elements of each item, and `invalid` for items that are too large."""

    def __init__(
        self, found: Callable[[int, list[_Element]], object], invalid: Callable[[InvalidFeedLine], object]
    ) -> None:
        self._found, self._invalid = found, invalid
        self._depth, self._number, self._fed = 0, 0, 0
        self._item_depth: int | None = None
        self._elements: list[_Element] = []
        self._size = 0
        self._google_prefixes = {"g", ""}
        self._parser = self._new_parser()

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        # entities, external ones included, can only be declared in a document type declaration
        parser.StartDoctypeDeclHandler = _refuse_declaration
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        return parser

    def feed(self, chunk: bytes) -> None:
        """Parse the next bytes; no bytes end the document. Raises `BadRequest` if they cannot be parsed."""
        self._fed += len(chunk)
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            raise BadRequest(
                f"The XML of the feed cannot be read in or after item {self._number}: {error}; the rest was not read"
            ) from error
        except (LookupError, ValueError) as error:
            raise BadRequest(f"The XML of the feed has an encoding that is not supported: {error}") from error
        if self._fed - max(self._parser.CurrentByteIndex, 0) > MAX_TOKEN_SIZE + CHUNK_SIZE and chunk:
            raise BadRequest(f"The XML of the feed has a tag or comment of more than {MAX_TOKEN_SIZE:,} bytes")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadRequest(f"The XML of the feed is nested more than {MAX_DEPTH} elements deep")
        prefix, _, local = name.rpartition(":")
        if self._depth == 1 and local.lower() not in ROOTS:
            raise BadRequest(f"The XML is not a feed: its root is <{name[:80]}> instead of <rss> or <feed>")
        self._google_prefixes |= {
            key.removeprefix("xmlns:") for key, value in attributes.items() if GOOGLE_NAMESPACE in value
        }
        if self._item_depth is None:
            if local in ITEMS:
                self._begin_item()
        else:
            self._start_inside(prefix, local, attributes, self._depth - self._item_depth)

    def _begin_item(self) -> None:
        self._number += 1
        self._item_depth, self._elements, self._size = self._depth, [], 0

    def _start_inside(self, prefix: str, local: str, attributes: dict[str, str], depth: int) -> None:
        self._size += len(local) + 10
        if self._size > MAX_LINE_LENGTH:
            return
        if depth == 1:
            known = "" if prefix == "" else "g" if prefix in self._google_prefixes else prefix
            address, relation = attributes.get("href", ""), attributes.get("rel", "")
            self._elements.append(_Element(known, local, address=address, relation=relation))
            return
        element = self._elements[-1]
        element.parts.append((True, f"<{local}>"))
        if depth == 2:
            element.child, element.child_text = local, []

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._item_depth is None:
            return
        depth = self._depth + 1 - self._item_depth
        if depth == 0:
            self._end_item()
        elif depth > 1 and self._size <= MAX_LINE_LENGTH:
            element = self._elements[-1]
            element.parts.append((True, f"</{name.rpartition(':')[2]}>"))
            if depth == 2:
                element.children.append((element.child, "".join(element.child_text)))

    def _end_item(self) -> None:
        self._item_depth = None
        if self._size > MAX_LINE_LENGTH:
            problem = f"longer than {MAX_LINE_LENGTH:,} characters"
            self._invalid(InvalidFeedLine(self._number, problem, known_id(_texts(self._elements, "id"))))
        elif len(self._elements) > MAX_COLUMNS:
            self._invalid(InvalidFeedLine(self._number, f"has more than {MAX_COLUMNS} elements"))
        else:
            self._found(self._number, self._elements)
        self._elements = []

    def _text(self, text: str) -> None:
        if self._item_depth is None or self._depth == self._item_depth:
            return
        self._size += len(text)
        if self._size <= MAX_LINE_LENGTH:
            element = self._elements[-1]
            element.parts.append((False, text))
            element.child_text.append(text)


def _refuse_declaration(*_: object) -> None:
    raise BadRequest("The XML of the feed has a document type declaration (DTD), which is not allowed; remove it")


def _read_item(number: int, elements: list[_Element], currency: str | None) -> FeedLine | InvalidFeedLine:
    values: dict[str, list[str]] = {}
    for prefix in ("g", ""):
        for name, texts in _values(elements, prefix).items():
            # the specification's elements are meant for this purpose, those of RSS and Atom for feed readers
            values.setdefault(name, texts)
    for element in elements:
        if element.prefix not in {"g", ""}:
            values.setdefault(f"{element.prefix}:{element.name}", []).append(element.value())
    description = next((texts for name in DESCRIPTIONS if (texts := values.pop(name, [])) and any(texts)), None)
    return read_line(number, values | ({"description": description} if description else {}), currency)


def _values(elements: list[_Element], prefix: str) -> dict[str, list[str]]:
    """Values of the elements with a prefix, by the name of their column."""
    values: dict[str, list[str]] = {}
    for element in elements:
        if element.prefix != prefix or (element.name == "link" and element.relation not in {"", "alternate"}):
            continue
        is_description = column_name(element.name) in DESCRIPTIONS
        text = element.text().strip() if is_description else element.value()
        if text:
            values.setdefault(column_name(element.name), []).append(text)
    return values


def _texts(elements: list[_Element], name: str) -> list[str]:
    return [element.value() for element in elements if element.name == name]

"""Plain text of descriptions that contain HTML."""

import html
import re
from html.parser import HTMLParser

_BLOCKS = (
    "address article aside blockquote br dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header "
    "hr li main nav ol p pre section table tbody tfoot thead tr ul"
)
BLOCKS = frozenset(_BLOCKS.split())
"""Elements that begin and end a line."""
CELLS = frozenset({"td", "th"})
HIDDEN = frozenset({"script", "style", "template", "title"})
"""Elements whose content is not shown."""

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,2000}>|<!--|<[!?][a-zA-Z\[][^<>]*>")
_REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_DECLARATION = re.compile(r"<[!?][^<>]*>")
_NOT_A_TAG = re.compile(r"<(?!/?[a-zA-Z][^<>]{0,2000}>)")


def to_plain_text(text: str) -> str:
    """The text without markup. Text that contains neither tags nor character references is only stripped."""
    if _TAG.search(text):
        text = _without_markup(text)
    elif _REFERENCE.search(text):
        text = html.unescape(text)
    return text.strip()


def to_feed_text(text: str) -> str:
    """The inverse of `to_plain_text`: escapes text that would be read as HTML."""
    return text if to_plain_text(text) == text else html.escape(text, quote=False)


def _without_markup(text: str) -> str:
    # HTMLParser needs quadratic time for tags, comments and declarations that do not end, and raises AssertionError
    # for some declarations: it is given only complete tags
    text = _NOT_A_TAG.sub("&lt;", _DECLARATION.sub("", _without_comments(text)))
    parser = _TextParser()
    parser.feed(text)
    parser.close()
    lines = (" ".join(line.split()) for line in "".join(parser.parts).split("\n"))
    return "\n".join(line for line in lines if line)


def _without_comments(text: str) -> str:
    parts, position = [], 0
    while (start := text.find("<!--", position)) >= 0:
        parts.append(text[position:start])
        end = text.find("-->", start)
        if end < 0:
            return "".join(parts)
        position = end + 3
    return "".join([*parts, text[position:]])


class _TextParser(HTMLParser):
    """Collects text. Line breaks of the source are spaces; elements of `BLOCKS` begin a line."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = ""
        """The element whose content is being skipped."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in HIDDEN:
            self._hidden = self._hidden or tag
        self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""
        self._separate(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(" ".join(data.split("\n")))

    def _separate(self, tag: str) -> None:
        if tag in BLOCKS:
            self.parts.append("\n")
        elif tag in CELLS:
            self.parts.append(" ")

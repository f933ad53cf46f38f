"""Reads the Markdown pages of the project: fenced blocks, links, anchors and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lookalike

ROOT = Path(lookalike.__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\s*$")
NOT_RUN = re.compile(r"^<!-- not run: .+ -->$")
SHOWS_ERROR = "<!-- shows an error -->"
SHOWS_LOG = "<!-- a line of the log -->"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+?)\s*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is the number of its opening fence, `comment` the HTML comment directly before it."""

    page: Path
    line: int
    language: str
    text: str
    comment: str = ""

    @property
    def is_run(self) -> bool:
        return self.language in ("sh", "python") and not NOT_RUN.match(self.comment)

    @property
    def shows_error(self) -> bool:
        """Whether the API is to respond with an error."""
        return self.comment == SHOWS_ERROR

    @property
    def shows_log(self) -> bool:
        """Whether it is a line of the server's log."""
        return self.comment == SHOWS_LOG

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """README.md and the other pages in the root folder, then everything in docs/."""
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]


def blocks(page: Path) -> list[Block]:
    found, comment = [], ""
    lines = enumerate(page.read_text().splitlines(), 1)
    for number, line in lines:
        if opening := FENCE.match(line):
            inside = "\n".join(_until_fence(lines))
            found.append(Block(page, number, opening[1], inside, comment))
        if line.strip():
            comment = line.strip() if line.startswith("<!--") else ""
    return found


def _until_fence(lines: Iterator[tuple[int, str]]) -> list[str]:
    inside: list[str] = []
    for _, line in lines:
        if line.startswith("```"):
            return inside
        inside.append(line)
    raise ValueError("A fenced block is not closed")


def prose(page: Path) -> list[str]:
    """The lines outside of fenced blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return text.splitlines()


def links(page: Path) -> list[str]:
    """The targets of all links and images, without those inside inline code."""
    return [target for line in prose(page) for target in LINK.findall(re.sub(r"`[^`]*`", "``", line))]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub and MkDocs make them."""
    headings = [found[1] for line in prose(page) if (found := HEADING.match(line))]
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def table(page: Path, first_column: str) -> list[list[str]]:
    """The cells of the rows of the table whose header starts with that column. Backticks are kept."""
    rows: list[list[str]] = []
    inside = False
    for line in prose(page):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first_column:
            inside = True
        elif inside and not set(cells[0]) <= set("-: "):
            rows.append(cells)
    return rows

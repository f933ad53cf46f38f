"""Terraform's files as far as the tests need them: blocks by name, locals, and what a reference comes to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
from hcl2 import SerializationOptions

Body = dict[str, Any]
OPTIONS = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
REFERENCE = re.compile(r"\$\{([a-z]+(?:\.\w+)+)\}")


@dataclass(frozen=True)
class Terraform:
    """Everything of a folder. `resources` by type and name, as references write them."""

    resources: dict[str, Body]
    locals: Body
    blocks: dict[str, list[Body]]

    @property
    def functions(self) -> dict[str, Body]:
        found: dict[str, Body] = self.locals["functions"]
        return found

    def of(self, kind: str) -> dict[str, Body]:
        """The resources of a type, by name."""
        return {name.split(".")[1]: body for name, body in self.resources.items() if name.startswith(f"{kind}.")}

    def value(self, text: Any, each: Body | None = None) -> Any:
        """What `text` comes to: locals and `each` filled in, what only the cloud knows left as it is."""
        if not isinstance(text, str):
            return text
        scope = {"local": self.locals, "each": each or {}}
        if whole := REFERENCE.fullmatch(text):
            return look_up(scope, whole[1], text)
        return REFERENCE.sub(lambda found: str(look_up(scope, found[1], found[0])), text)


def look_up(scope: Body, path: str, otherwise: str) -> Any:
    found: Any = scope
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            return otherwise
        found = found[part]
    return found


def read(folder: Path) -> Terraform:
    blocks: dict[str, list[Body]] = {}
    for file in sorted(folder.glob("*.tf")):
        parsed = hcl2.loads(file.read_text(), serialization_options=OPTIONS)
        for kind, found in parsed.items():
            blocks.setdefault(kind, []).extend(found)
    settled = {name: value for block in blocks["locals"] for name, value in block.items()}
    return Terraform(dict(labeled(blocks["resource"])), settled, blocks)


def labeled(blocks: list[Body]) -> Iterator[tuple[str, Body]]:
    for block in blocks:
        for kind, named in block.items():
            for name, body in named.items():
                yield f"{kind}.{name}", body


def strings(thing: Any) -> Iterator[str]:
    """Every text in it."""
    if isinstance(thing, dict):
        for value in thing.values():
            yield from strings(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from strings(value)
    elif isinstance(thing, str):
        yield thing

"""Minimal reader of Terraform files: resources by name, locals, and resolved references."""

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
    """The configuration of a folder.

    `resources` has keys like `google_storage_bucket.closet`. `blocks` has all top-level blocks by type.
    """

    resources: dict[str, Body]
    locals: Body
    blocks: dict[str, list[Body]]

    @property
    def functions(self) -> dict[str, Body]:
        """The local value `functions`: options of each function."""
        functions: dict[str, Body] = self.locals["functions"]
        return functions

    def resources_of_type(self, kind: str) -> dict[str, Body]:
        """Return the resources of a type, by name."""
        return {name.split(".")[1]: body for name, body in self.resources.items() if name.startswith(f"{kind}.")}

    def resolve(self, text: Any, each: Body | None = None) -> Any:
        """Replace references to locals and `each` in a text. References to attributes of resources stay."""
        if not isinstance(text, str):
            return text
        scope = {"local": self.locals, "each": each or {}}
        if reference := REFERENCE.fullmatch(text):
            # a single reference keeps the type of its value
            return resolve_path(scope, reference[1], text)
        return REFERENCE.sub(lambda match: str(resolve_path(scope, match[1], match[0])), text)


def resolve_path(scope: Body, path: str, default: str) -> Any:
    """Return the value at a path with dots, or `default` if there is none."""
    value: Any = scope
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return default
        value = value[part]
    return value


def read_terraform(folder: Path) -> Terraform:
    """Read all .tf files of a folder."""
    blocks: dict[str, list[Body]] = {}
    for file in sorted(folder.glob("*.tf")):
        parsed = hcl2.loads(file.read_text(), serialization_options=OPTIONS)
        for kind, parsed_blocks in parsed.items():
            blocks.setdefault(kind, []).extend(parsed_blocks)
    local_values = {name: value for block in blocks["locals"] for name, value in block.items()}
    return Terraform(dict(_named_resources(blocks["resource"])), local_values, blocks)


def _named_resources(blocks: list[Body]) -> Iterator[tuple[str, Body]]:
    for block in blocks:
        for kind, named in block.items():
            for name, body in named.items():
                yield f"{kind}.{name}", body


def all_strings(value: Any) -> Iterator[str]:
    """Yield all strings in nested lists and dictionaries."""
    if isinstance(value, dict):
        for item in value.values():
            yield from all_strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from all_strings(item)
    elif isinstance(value, str):
        yield value

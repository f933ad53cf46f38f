"""Schemas of Terraform providers, read from the npm packages of CDKTF's prebuilt providers.

The packages are generated from `terraform providers schema`. Their JavaScript contains the names, types and nesting of all
attributes and blocks. Their type declarations say which of them are required.
"""

import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

PACKAGES = {"google": "@cdktf/provider-google@16.12.1", "random": "@cdktf/provider-random@12.0.1"}
"""The last versions of the packages: provider 6.50 of google, and 3.7 of random."""
NEWER = {"google_sql_user": {"database_roles": ["list", "string"]}}
"""Attributes that version 7 of the provider google added, with their types."""

FILLED = {"google_eventarc_trigger": "transport"}
"""Blocks that the provider creates if they are missing, so that expressions can read them."""

ATTRIBUTE = re.compile(
    r"^ +(\w+): \{\s+value: ([^\n]*),\s+isBlock: (true|false),\s+type: \"(\w+)\",\s+storageClassType: \"(\w+)\",",
    re.MULTILINE,
)
FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
CLASS = re.compile(r"^class (\w+) extends cdktf\.(\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
COMPUTED = re.compile(
    r"// (\w+) - computed: true, optional: \w+, required: \w+\n\s+(get \w+\(\) \{\n[^\n]*|this\.[^\n]*)"
)
REQUIRED = re.compile(r"#(\w+)\}\s[^/]*\*/\s+readonly \w+: ")
INTERFACE = re.compile(r"^export interface (\w+) (?:extends [\w.]+ )?\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
MAIN_CLASSES = ("TerraformResource", "TerraformDataSource", "TerraformProvider")
SCALARS = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
GETTERS = {"String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"]}
GETTERS |= {"NumberList": ["list", "number"], "StringMap": ["map", "string"], "AnyMap": ["map", "dynamic"]}
Type = object
"""A type as Terraform writes it in JSON: "string", ["list", "string"], ["object", {…}]."""


class PackageMissing(Exception):
    """npm is missing, or the package cannot be downloaded."""


@dataclass
class Attribute:
    """An attribute. One that is neither required nor optional is set by the provider only."""

    type: Type
    is_required: bool = False
    is_optional: bool = False


@dataclass
class Block:
    """The content of a resource or of a nested block."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: dict[str, "NestedBlock"] = field(default_factory=dict)


@dataclass
class NestedBlock:
    """A kind of nested block. `max_items` is 0 if there is no limit."""

    block: Block
    nesting: Literal["single", "list", "set"]
    is_required: bool
    max_items: int


def read_schemas(provider: str, kinds: Iterable[str]) -> dict[str, Block]:
    """Return the schemas of resources such as `google_sql_user`, of `data.google_project` and of `provider`.

    Kinds that the provider does not have are missing. Raises `PackageMissing`.
    """
    folders = {_folder(provider, kind): kind for kind in kinds}
    texts = defaultdict[str, dict[str, str]](dict)
    # The archive is read once from start to end, because it is compressed as a whole.
    with tarfile.open(_download(provider)) as package:
        for member in package:
            _, _, folder, file = (*member.name.split("/"), "", "", "")[:4]
            if folder in folders and (content := package.extractfile(member)):
                texts[folder][file] = content.read().decode().partition("//# sourceMappingURL")[0]
    schemas = {folders[name]: _Source(files["index.js"], files["index.d.ts"]).read() for name, files in texts.items()}
    for kind in schemas.keys() & NEWER.keys():
        schemas[kind].attributes |= {name: Attribute(type_, is_optional=True) for name, type_ in NEWER[kind].items()}
    for kind in schemas.keys() & FILLED.keys():
        nested = schemas[kind].blocks.pop(FILLED[kind])
        schemas[kind].attributes[FILLED[kind]] = Attribute(_object_type(nested), is_optional=True)
    return schemas


def _object_type(nested: NestedBlock) -> Type:
    attributes = {name: attribute.type for name, attribute in nested.block.attributes.items()}
    return ["list", ["object", attributes | {name: _object_type(one) for name, one in nested.block.blocks.items()}]]


def _folder(provider: str, kind: str) -> str:
    name = kind.removeprefix("data.").removeprefix(f"{provider}_").replace("_", "-")
    return f"data-{provider}-{name}" if kind.startswith("data.") else name


@cache
def _download(provider: str) -> Path:
    """Return the archive of the provider's package. npm keeps it in its cache."""
    folder = Path(tempfile.gettempdir()) / f"lookalike-{provider}-schema"
    package = PACKAGES[provider]
    archive = folder / f"{package.removeprefix('@').replace('/', '-').replace('@', '-')}.tgz"
    if archive.exists():
        return archive
    npm = shutil.which("npm")
    if not npm:
        raise PackageMissing("npm is not installed")
    folder.mkdir(exist_ok=True)
    command = [npm, "pack", "--silent", "--ignore-scripts", "--prefer-offline", package]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if result.returncode:
        raise PackageMissing(f"npm cannot download {package}: {result.stderr[-300:]}")
    return archive


class _Source:
    """The JavaScript and the type declarations of a resource."""

    def __init__(self, code: str, declarations: str) -> None:
        self._functions = {name.lower(): body for name, body in FUNCTION.findall(code)}
        self._classes = {name: body for name, _, body in CLASS.findall(code)}
        ((main, self._main),) = [(name, body) for name, base, body in CLASS.findall(code) if base in MAIN_CLASSES]
        self._required = {name.lower(): set(REQUIRED.findall(body)) for name, body in INTERFACE.findall(declarations)}
        self._config = f"{main.lower()}config"

    def read(self) -> Block:
        synthesized = self._main.partition("synthesizeHclAttributes() {")[2]
        return self._block(synthesized, self._required[self._config], self._main)

    def _block(self, attributes: str, required: set[str], body: str) -> Block:
        block = Block()
        for name, value, is_block, container, storage in ATTRIBUTE.findall(attributes):
            is_required = name in required
            struct = re.search(r"(\w+)ToHclTerraform", value.replace("cdktf.", "cdktf_"))
            if is_block == "true" and struct and not struct[1].startswith("cdktf_"):
                block.blocks[name] = self._nested(struct[1], container, storage, is_required)
            else:
                block.attributes[name] = Attribute(_type(container, storage), is_required, not is_required)
        for name, declaration in COMPUTED.findall(body):
            if name not in block.attributes and name not in block.blocks:
                block.attributes[name] = Attribute(self._computed_type(declaration))
        return block

    def _nested(self, struct: str, container: str, storage: str, is_required: bool) -> NestedBlock:
        name = struct.lower()
        body = next((body for key, body in self._classes.items() if key.lower() == f"{name}outputreference"), "")
        block = self._block(self._functions[name], self._required.get(name, set()), body)
        nesting: Literal["single", "list", "set"] = (
            "single" if container == "struct" else "set" if container == "set" else "list"
        )
        # a list of at most one block has no class for the list
        is_many = any(key.lower() == f"{name}list" for key in self._classes)
        return NestedBlock(block, nesting, is_required, 0 if is_many or nesting == "single" else 1)

    def _computed_type(self, declaration: str) -> Type:
        if getter := re.search(r"this\.get(\w+)Attribute\(", declaration):
            return GETTERS.get(getter[1], "dynamic")
        if child := re.search(r"new (\w+?)(?:List|Map|OutputReference)\(this", declaration):
            body = self._classes.get(f"{child[1]}OutputReference", "")
            return ["list", ["object", {name: self._computed_type(text) for name, text in COMPUTED.findall(body)}]]
        return "dynamic"


def _type(container: str, storage: str) -> Type:
    if container == "simple":
        return SCALARS.get(storage, "dynamic")
    element = SCALARS.get(re.sub("(List|Map)$", "", storage), "dynamic")
    return [container if container in ("list", "set", "map") else "list", element]

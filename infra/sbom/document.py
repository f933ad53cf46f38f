"""The CycloneDX document of an image: the packages of its environment, its base image and known vulnerabilities."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from infra.sbom.images import Image
from infra.sbom.packages import Json, Package
from infra.sbom.vulnerabilities import Vulnerability

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) or "") or None)
"""


def complete(document: Json, image: Image, packages: Iterable[Package], found: Iterable[Vulnerability]) -> Json:
    """Return the document of an environment as that of an image, with concluded licenses, sizes and vulnerabilities."""
    by_reference = {package.reference: package for package in packages}
    references = {(package.name, package.version): package.reference for package in by_reference.values()}
    components = [_describe(component, by_reference[component["bom-ref"]]) for component in document["components"]]
    container = {"type": "container", "bom-ref": "image", "name": f"lookalike-{image.target}"}
    return {
        **document,
        "metadata": {**document["metadata"], "component": container},
        "components": [_base_image(image), *map(_debian_package, image.debian_packages), *components],
        "vulnerabilities": [
            {"id": one.id, "source": {"name": "PyPI"}, "affects": [{"ref": references[one.package, one.version]}]}
            for one in found
        ],
    }


def _describe(component: Json, package: Package) -> Json:
    """Return a component with its size, and its license if the metadata does not name it."""
    properties = [{"name": "lookalike:bytes", "value": str(package.size)}]
    # The package itself was installed from a folder of this machine.
    links = [link for link in component.get("externalReferences", ()) if not link["url"].startswith("file:")]
    described = {**component, "externalReferences": links, "properties": properties}
    if package.license not in package.declared:
        properties += [{"name": "lookalike:declared-license", "value": text} for text in package.declared]
        described["licenses"] = [{"expression": package.license, "acknowledgement": "concluded"}]
    return described


def _base_image(image: Image) -> Json:
    name, _, tag = image.base.partition(":")
    return {"type": "container", "bom-ref": "base", "name": name, "version": tag, "purl": f"pkg:docker/{name}@{tag}"}


def _debian_package(name: str) -> Json:
    return {"type": "library", "bom-ref": f"debian {name}", "name": name, "purl": f"pkg:deb/debian/{name}"}


def check_schema(python: Path, document: Json) -> None:
    """Raise `ValueError` if the document does not follow the schema. `python` has the library of CycloneDX."""
    result = subprocess.run([python, "-c", VALIDATE], input=json.dumps(document), capture_output=True, text=True)
    if result.returncode:
        raise ValueError(f"The document is not valid: {result.stderr.strip()[-500:]}")

"""Known vulnerabilities of packages, looked up by pip-audit at the package index."""

import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from infra.sbom.packages import Package


@dataclass(frozen=True)
class Vulnerability:
    """A known vulnerability of a version."""

    package: str
    version: str
    id: str
    fixed_in: tuple[str, ...]


@dataclass(frozen=True)
class Lookup:
    """The result of a look-up."""

    found: tuple[Vulnerability, ...] = ()
    checked: int = 0
    """Packages about which the index answered."""
    not_found: tuple[str, ...] = field(default=())
    """Packages that the index does not know, or about which it has no data."""
    problem: str = ""
    """Why nothing could be looked up, such as no network."""


def look_up(tool: Path, packages: Iterable[Package]) -> Lookup:
    """Ask the package index about the versions of packages. Never fails without network: see `Lookup.problem`."""
    lines = [f"{package.name}=={package.version}\n" for package in packages]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(lines)
        file.flush()
        # The requirements are complete, so pip has nothing to resolve.
        command = [str(tool), "--no-deps", "--disable-pip", "--requirement", file.name, "--format", "json"]
        result = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True)
    return parse_report(result.stdout, result.stderr)


def parse_report(output: str, errors: str) -> Lookup:
    """Return what a report of pip-audit in JSON says. Without a report, the last line of the errors is the problem."""
    try:
        dependencies = json.loads(output)["dependencies"]
    except ValueError:
        return Lookup(problem=(errors.strip().splitlines() or ["pip-audit wrote no report"])[-1][:300])
    skipped = tuple(one["name"] for one in dependencies if "skip_reason" in one)
    found = tuple(
        Vulnerability(one["name"], one["version"], entry["id"], tuple(entry["fix_versions"]))
        for one in dependencies
        for entry in one.get("vulns", ())
    )
    return Lookup(found, len(dependencies) - len(skipped), skipped)

"""The package of the TypeScript client, without npm. `tests/e2e/test_clients.py` builds and runs it."""

import json
from pathlib import Path

import lookalike

PACKAGE = Path(lookalike.__file__).parents[2] / "clients" / "typescript"


def test_package_has_the_version_of_the_server_and_exact_dependencies() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    assert package["version"] == lookalike.__version__
    assert all(version[0].isdigit() for version in (package["dependencies"] | package["devDependencies"]).values())


def test_lock_file_has_checksums_and_no_addresses_of_packages() -> None:
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    package = json.loads((PACKAGE / "package.json").read_text())
    assert lock["packages"][""]["version"] == package["version"]
    dependencies = [entry for name, entry in lock["packages"].items() if name]
    assert dependencies and all("integrity" in entry and "resolved" not in entry for entry in dependencies)

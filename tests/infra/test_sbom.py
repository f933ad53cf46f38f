"""The software bill of materials: licenses, sizes, and what is said about vulnerabilities."""

import json
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from infra.sbom.document import check_schema, complete
from infra.sbom.images import ROOT, Image, read_images
from infra.sbom.licenses import CONCLUDED, PERMITTED, UNKNOWN, conclude, normalize_name, refused_terms
from infra.sbom.packages import Package, read_environment, read_packages
from infra.sbom.report import lookup_lines, refusals, table
from infra.sbom.vulnerabilities import Lookup, Vulnerability, look_up, parse_report

TOOLS = ROOT / ".venv-sbom" / "bin"
APACHE = "License :: OSI Approved :: Apache Software License"
BSD = "License :: OSI Approved :: BSD License"


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("one", ["MIT"], "MIT"),
        ("one", ["Apache-2.0", APACHE], "Apache-2.0"),
        ("one", [APACHE], "Apache-2.0"),
        ("one", ["PSF-2.0", "Python-2.0"], "PSF-2.0 AND Python-2.0"),
        ("one", ["MPL-2.0 AND (Apache-2.0 OR MIT)"], "MPL-2.0 AND (Apache-2.0 OR MIT)"),
        ("one", [BSD], UNKNOWN),
        ("one", ["BSD"], UNKNOWN),
        ("one", ["See the file LICENSE"], UNKNOWN),
        ("one", [], UNKNOWN),
        ("Jinja2", [BSD], "BSD-3-Clause"),
        ("pyasn1_modules", [BSD], "BSD-2-Clause"),
        ("nvidia-cublas", ["License :: Other/Proprietary License"], "LicenseRef-NVIDIA-Proprietary"),
        ("not-nvidia", ["License :: Other/Proprietary License"], UNKNOWN),
    ],
)
def test_license_is_that_of_the_metadata_or_of_the_table(name: str, declared: list[str], expected: str) -> None:
    assert conclude(name, declared) == expected


@pytest.mark.parametrize(
    ("license_", "refused"),
    [
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", []),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", []),
        ("GPL-3.0-or-later", ["GPL-3.0-or-later"]),
        ("MIT OR AGPL-3.0-only", ["AGPL-3.0-only"]),
        ("MIT AND (BSD-4-Clause)", ["BSD-4-Clause"]),
    ],
)
def test_each_part_of_a_license_must_be_permitted(license_: str, refused: list[str]) -> None:
    assert refused_terms(license_) == refused


def test_tables_are_consistent_and_have_reasons() -> None:
    for license_, source in CONCLUDED.values():
        assert not refused_terms(license_) and len(source.split()) >= 2
    standard = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "Zlib"}
    assert {name for name, reason in PERMITTED.items() if not reason} == standard


def package(name: str, license_: str, declared: list[str] | None = None) -> Package:
    return Package(name, "1.0", [license_] if declared is None else declared, license_, 2**20, f"{name}==1.0")


def test_packages_without_a_permitted_license_are_refused() -> None:
    packages = [package("good", "MIT"), package("viral", "AGPL-3.0-only"), package("silent", UNKNOWN, [])]
    viral, silent = refusals(packages)
    assert viral.startswith("viral 1.0: AGPL-3.0-only") and silent.startswith("silent 1.0: its license is not known")


def test_images_are_those_of_the_dockerfile() -> None:
    images = read_images()
    assert images["cpu"].extras.split(",") == ["gcp", "otel", "scale", "text"] and "full" in images["gpu"].extras
    assert set(images) == {"cpu", "gpu"}
    assert {image.base.partition("-")[2] for image in images.values()} == {"slim-bookworm"}
    assert not any(image.debian_packages for image in images.values())


def test_debian_packages_are_found() -> None:
    text = (
        'FROM debian:12 AS build-x\nRUN ["infra/docker/install.sh", "/opt", "a,b"]\nFROM debian:13 AS first\n'
        "RUN apt-get update && apt-get install --yes \\\n  libgomp1 curl && rm -r /tmp/x\nFROM first AS x\nUSER 1\n"
    )
    assert read_images(text) == {"x": Image("x", "a,b", "debian:13", ("libgomp1", "curl"))}


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    info = tmp_path / "one_thing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: One.Thing\nVersion: 1.0\n")
    (tmp_path / "one.py").write_bytes(bytes(1000))
    (info / "RECORD").write_text("one.py,,\none_thing-1.0.dist-info/METADATA,,\nmissing.py,,\n")
    component = {"name": "One.Thing", "version": "1.0", "bom-ref": "1", "licenses": [{"license": {"id": "MIT"}}]}
    (found,) = read_packages({"components": [component]}, tmp_path)
    assert (found.license, found.size) == ("MIT", 1000 + (info / "METADATA").stat().st_size)
    lines = [*table([found], 3 * 2**20)]
    assert lines[1].split() == ["One.Thing", "1.0", "0.0", "MIT"] and lines[-1].split() == ["total", "of", "1", "3.0"]


REPORT = {
    "dependencies": [
        {"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}]},
        {"name": "flask", "version": "3.1.3", "vulns": []},
        {"name": "own", "skip_reason": "Dependency not found"},
    ]
}


def test_vulnerabilities_are_reported_with_what_was_not_looked_up() -> None:
    lookup = parse_report(json.dumps(REPORT), "")
    assert lookup == Lookup((Vulnerability("jinja2", "2.10", "PYSEC-2019-217", ("2.10.1",)),), 2, ("own",))
    assert [*lookup_lines(lookup)] == [
        "VULNERABLE: jinja2 2.10: PYSEC-2019-217, fixed in 2.10.1",
        "Vulnerabilities: 1 in 2 packages that the package index has data about",
        "SKIPPED: no data about own",
    ]


@pytest.mark.parametrize(
    ("output", "errors", "reason"),
    [
        ("", "Traceback\nConnectionError: no network", "ConnectionError: no network"),
        ('{"dependencies": [{"name": "own", "skip_reason": "x"}]}', "", "none of 1 packages"),
    ],
)
def test_a_lookup_without_an_answer_is_not_reported_as_clean(output: str, errors: str, reason: str) -> None:
    (line,) = lookup_lines(parse_report(output, errors))
    assert line.startswith("SKIPPED: vulnerabilities were not looked up") and reason in line


def test_pip_audit_is_asked_about_each_version(tmp_path: Path) -> None:
    tool = tmp_path / "pip-audit"
    tool.write_text(
        f"#!{sys.executable}\nimport json, sys\nfile = sys.argv[sys.argv.index('--requirement') + 1]\n"
        "pairs = [line.strip().split('==') for line in open(file)]\n"
        "print(json.dumps({'dependencies': [{'name': n, 'version': v, 'vulns': []} for n, v in pairs]}))\n"
    )
    tool.chmod(0o755)
    assert look_up(tool, [package("one", "MIT"), package("two", "MIT")]) == Lookup((), 2, ())


def closure(extras: set[str]) -> set[str]:
    """Return the normal names of the packages that the package with these extras needs, itself included."""
    pending, found = [("lookalike", frozenset(extras))], dict[str, frozenset[str]]()
    while pending:
        name, wanted = pending.pop()
        if wanted <= found.get(name, frozenset()) and name in found:
            continue
        found[name] = wanted | found.get(name, frozenset())
        for requirement in map(Requirement, distribution(name).requires or ()):
            is_needed = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in ("", *wanted)
            )
            if is_needed:
                pending.append((normalize_name(requirement.name), frozenset(requirement.extras)))
    return set(found)


@pytest.mark.slow
def test_packages_of_the_image_have_permitted_licenses_and_a_valid_document() -> None:
    """With the packages of this environment that the image needs; `make sbom` installs the image's own ones."""
    if not (TOOLS / "cyclonedx-py").exists():
        pytest.skip("cyclonedx-py is not installed: run `make check-cloud` or `make sbom`")
    image = read_images()["cpu"]
    needed = closure(set(image.extras.split(",")))
    document = read_environment(TOOLS / "cyclonedx-py", Path(sys.executable))
    document["components"] = [one for one in document["components"] if normalize_name(one["name"]) in needed]
    references = {one["bom-ref"] for one in document["components"]}
    document["dependencies"] = [one for one in document["dependencies"] if one["ref"] in references]
    for one in document["dependencies"]:
        one["dependsOn"] = [ref for ref in one.get("dependsOn", ()) if ref in references]
    packages = read_packages(document, Path(str(distribution("numpy").locate_file(""))))
    assert not refusals(packages)
    assert len(packages) > 90 and all(one.size for one in packages if one.name != "lookalike")
    (numpy,) = [one for one in packages if one.name == "numpy"]
    found = [Vulnerability("numpy", numpy.version, "TEST-1", ())]
    finished = complete(document, image, packages, found)
    check_schema(TOOLS / "python", finished)
    assert described(finished, "protobuf")["licenses"] == [
        {"expression": "BSD-3-Clause", "acknowledgement": "concluded"}
    ]
    assert finished["vulnerabilities"][0]["affects"] == [{"ref": numpy.reference}]
    assert "file:" not in json.dumps([one for one in finished["components"] if one["name"] == "lookalike"])
    assert described(finished, "python")["version"] == image.base.partition(":")[2]
    with pytest.raises(ValueError, match="not valid"):
        check_schema(TOOLS / "python", {**finished, "components": [{"type": "nothing"}]})


def described(document: Any, name: str) -> Any:
    (component,) = [one for one in document["components"] if one["name"] == name]
    return component

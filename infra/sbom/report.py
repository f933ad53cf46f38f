"""The table that `make sbom` prints."""

from collections.abc import Iterator, Sequence

from infra.sbom.images import Image
from infra.sbom.licenses import PERMITTED, UNKNOWN, refused_terms
from infra.sbom.packages import Package
from infra.sbom.vulnerabilities import Lookup

MIB = 2**20
RULES = "infra/sbom/licenses.py"


def table(packages: Sequence[Package], folder_bytes: int) -> Iterator[str]:
    """Yield a line for each package, the largest first, and the total of the folder with all files."""
    rows = [(one.name, one.version, f"{one.size / MIB:.1f}", one.license) for one in _by_size(packages)]
    rest = folder_bytes - sum(one.size for one in packages)
    rows.append(("(environment)", "", f"{rest / MIB:.1f}", ""))
    rows.append((f"total of {len(packages)}", "", f"{folder_bytes / MIB:.1f}", ""))
    heading = ("Package", "Version", "MiB", "License")
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(3)]
    for name, version, size, license_ in [heading, *rows]:
        yield f"{name:{widths[0]}}  {version:{widths[1]}}  {size:>{widths[2]}}  {license_}".rstrip()


def _by_size(packages: Sequence[Package]) -> list[Package]:
    return sorted(packages, key=lambda one: (-one.size, one.name.lower()))


def unusual(packages: Sequence[Package]) -> Iterator[str]:
    """Yield the unusual licenses that are used, with the reason why they are permitted."""
    used = " ".join(one.license for one in packages)
    yield from (f"{name}: {reason}" for name, reason in PERMITTED.items() if reason and name in used)


def refusals(packages: Sequence[Package]) -> list[str]:
    """List the packages with an unknown license or one that is not permitted."""
    return [problem for one in packages if (problem := _refusal(one))]


def _refusal(package: Package) -> str:
    name = f"{package.name} {package.version}"
    if package.license == UNKNOWN:
        return f"{name}: its license is not known (declared: {package.declared}); read it and add it to CONCLUDED of {RULES}"
    if terms := refused_terms(package.license):
        return f"{name}: {', '.join(terms)} is not in PERMITTED of {RULES}"
    return ""


def base_lines(image: Image) -> Iterator[str]:
    """Yield what the sizes leave out."""
    yield f"Not counted: the base image {image.base}, whose Debian packages its publisher lists."
    yield f"Debian packages that the Dockerfile installs: {', '.join(image.debian_packages) or 'none'}."


def lookup_lines(lookup: Lookup) -> Iterator[str]:
    """Yield the vulnerabilities, and visibly what was not looked up."""
    if lookup.problem:
        yield f"SKIPPED: vulnerabilities were not looked up: {lookup.problem}"
        return
    for one in lookup.found:
        yield f"VULNERABLE: {one.package} {one.version}: {one.id}, fixed in {', '.join(one.fixed_in) or 'no version yet'}"
    if not lookup.checked:
        yield f"SKIPPED: vulnerabilities were not looked up: the package index has data about none of {len(lookup.not_found)} packages"
    else:
        yield f"Vulnerabilities: {len(lookup.found)} in {lookup.checked} packages that the package index has data about"
        if lookup.not_found:
            yield f"SKIPPED: no data about {', '.join(lookup.not_found)}"

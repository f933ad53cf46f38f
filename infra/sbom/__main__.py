"""`python -m infra.sbom`: list packages, licenses, sizes and known vulnerabilities of the images.

Installs what the Dockerfile installs, by the same script, below .lookalike/sbom. Exits with 1 if a license is unknown or not
permitted, or if a package has a known vulnerability.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.sbom.document import check_schema, complete
from infra.sbom.images import INSTALL, ROOT, Image, read_images
from infra.sbom.packages import folder_size, read_environment, read_packages
from infra.sbom.report import base_lines, lookup_lines, refusals, table, unusual
from infra.sbom.vulnerabilities import look_up

FOLDER = ROOT / ".lookalike" / "sbom"
TOOLS = ROOT / ".venv-sbom" / "bin"
OWN_PACKAGE = "lookalike"


def main() -> None:
    """List each image, and exit with 1 if something is wrong with one."""
    images = read_images()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*images, []], help="images to list; all by default")
    parser.add_argument(
        "--keep", action="store_true", help="list what the last run installed, without installing it again"
    )
    options = parser.parse_args()
    problems = [problem for name in options.targets or images for problem in list_image(images[name], options.keep)]
    if problems:
        sys.exit("\n".join(["", *problems]))


def list_image(image: Image, keeps: bool = False) -> list[str]:
    """Print the table of an image, write its document, and return what is wrong with it."""
    prefix = FOLDER / image.target
    if not (keeps and prefix.exists()):
        install(image, prefix)
    document = read_environment(TOOLS / "cyclonedx-py", prefix / "bin" / "python")
    (site_packages,) = prefix.glob("lib/python3*/site-packages")
    packages = read_packages(document, site_packages)
    lookup = look_up(TOOLS / "pip-audit", [one for one in packages if one.name != OWN_PACKAGE])
    document = complete(document, image, packages, lookup.found)
    check_schema(TOOLS / "python", document)
    file = FOLDER / f"{image.target}.cdx.json"
    file.write_text(json.dumps(document, indent=2))
    lines = [
        *table(packages, folder_size(prefix)),
        "",
        *unusual(packages),
        "",
        *base_lines(image),
        *_python_lines(image, site_packages),
    ]
    lines += lookup_lines(lookup)
    print(f"\nImage {image.target}: {file.relative_to(ROOT)}\n", *lines, sep="\n")
    return [*refusals(packages), *(line for line in lookup_lines(lookup) if line.startswith("VULNERABLE"))]


def install(image: Image, prefix: Path) -> None:
    """Install what the Dockerfile installs for an image."""
    shutil.rmtree(prefix, ignore_errors=True)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    environment = {"PYTHON": sys.executable, **os.environ}
    subprocess.run([ROOT / INSTALL, prefix, image.extras], env=environment, check=True)


def _python_lines(image: Image, site_packages: Path) -> list[str]:
    """Say if the packages are those of another version of Python."""
    version = site_packages.parent.name.removeprefix("python")
    if f":{version}" in image.base:
        return []
    return [
        f"Python {version} chose these packages; the image has {image.base.partition(':')[2]}. PYTHON=… selects another."
    ]


if __name__ == "__main__":
    main()

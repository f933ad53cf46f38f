"""Licenses that packages of the images may have, and those of packages that do not state theirs in a standard form."""

import re
from fnmatch import fnmatch

PERMITTED = {
    "0BSD": "",
    "Apache-2.0": "",
    "BSD-2-Clause": "",
    "BSD-3-Clause": "",
    "BSD-3-Clause-Open-MPI": "LAPACK, in scipy: three clauses, and one about patents",
    "BSL-1.0": "parts of torch: like MIT, without notice in binaries",
    "CC0-1.0": "parts of numpy, in the public domain",
    "GPL-3.0-or-later WITH GCC-exception-3.1": "GCC's runtime libraries in scipy: the exception permits programs of any license",
    "ISC": "",
    "LGPL-2.1-or-later": "libquadmath in scipy: a shared library that is used unchanged and can be replaced",
    "LicenseRef-NVIDIA-Proprietary": (
        "CUDA libraries of the gpu image: NVIDIA permits their use on its GPUs; read its terms before you publish an image"
    ),
    "MIT": "",
    "MIT-0": "",
    "MIT-CMU": "pillow: like MIT, and the names of its authors must not be used to advertise",
    "MPL-2.0": "certifi, orjson, tqdm: changed files of theirs stay under it; they are used unchanged",
    "PSF-2.0": "the license of Python",
    "Python-2.0": "the license of older parts of Python",
    "Apache-2.0 WITH LLVM-exception": "parts of torch: Apache-2.0 with more permissions",
    "Zlib": "",
}
"""Names of SPDX, with what is unusual about a license and why it is permitted."""

CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "LicenseRef-NVIDIA-Proprietary": "LicenseRef-NVIDIA-Proprietary",
}
"""Declarations that mean exactly one license. "BSD License" does not say how many clauses it has."""

CONCLUDED = {
    "cuda-toolkit": ("LicenseRef-NVIDIA-Proprietary", "a package without files, which requires NVIDIA's libraries"),
    "itsdangerous": ("BSD-3-Clause", "its LICENSE.txt"),
    "jinja2": ("BSD-3-Clause", "its LICENSE.txt"),
    "mpmath": ("BSD-3-Clause", "its LICENSE"),
    "nvidia-*": ("LicenseRef-NVIDIA-Proprietary", "their License.txt"),
    "protobuf": ("BSD-3-Clause", "its LICENSE"),
    "pyasn1-modules": ("BSD-2-Clause", "its LICENSE.txt"),
    "scipy": (
        "BSD-3-Clause AND BSD-3-Clause-Open-MPI AND GPL-3.0-or-later WITH GCC-exception-3.1 AND LGPL-2.1-or-later",
        "its LICENSE.txt, with the libraries that its wheel contains",
    ),
    "sympy": ("BSD-3-Clause", "its LICENSE"),
    "torchvision": ("BSD-3-Clause", "its LICENSE"),
}
"""License and source of packages whose metadata names no license, or only a family. Read the source before you add one."""

UNKNOWN = "unknown"


def normalize_name(name: str) -> str:
    """Return the normal form of the name of a package, as PEP 503 defines it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def conclude(name: str, declared: list[str]) -> str:
    """Return the license of a package as an SPDX expression, or `UNKNOWN`.

    `declared`: what its metadata says: SPDX names or expressions, classifiers, and free text.
    """
    standard = [text for text in declared if _is_spdx(text)]
    standard = standard or [CLASSIFIERS[text] for text in declared if text in CLASSIFIERS]
    if standard:
        return " AND ".join(dict.fromkeys(standard))
    matches = [license_ for pattern, (license_, _) in CONCLUDED.items() if fnmatch(normalize_name(name), pattern)]
    return matches[0] if matches else UNKNOWN


def refused_terms(license_: str) -> list[str]:
    """Return the parts of an expression that are not permitted. Of alternatives (OR), each must be."""
    terms = [term.strip() for term in re.split(r"\bAND\b|\bOR\b|[()]", license_)]
    return [term for term in terms if term and term not in PERMITTED]


def _is_spdx(text: str) -> bool:
    """Return whether the text has the form of an SPDX expression."""
    words = re.split(r"[\s()]+", text.strip("() "))
    names, operators = words[0::2], words[1::2]
    is_name = all(re.fullmatch(r"[A-Za-z0-9.+-]+", name) for name in names)
    return (
        is_name
        and set(operators) <= {"AND", "OR", "WITH"}
        and not text.startswith("LicenseRef")
        and text.lower() != "bsd"
    )

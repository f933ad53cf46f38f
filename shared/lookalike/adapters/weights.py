"""The published weights of the full models: what they are, whether they are whole, and how they get here."""

import hashlib
import http.client
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from lookalike.domain.errors import Misconfigured, Unavailable

COMMAND = "lookalike models fetch"
PART = 1 << 20
ATTEMPTS, PAUSE, TIMEOUT = 6, 1.0, 30.0
"""Tries without a new byte after which a download is given up; seconds before the second try, doubled each time; of silence."""
BROKEN = (URLError, http.client.HTTPException, OSError)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file, where it is published, its size in bytes and its SHA-256."""

    name: str
    url: str
    size: int
    sha256: str


DETECTOR = WeightFile(
    "groundingdino_swint_ogc.pth",
    "https://github.com/IDEA-Research/GroundingDINO/releases/download/v0.1.0-alpha/groundingdino_swint_ogc.pth",
    693_997_677,
    "3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
)
VOCABULARY = WeightFile(
    "bert-base-uncased-vocab.txt",
    "https://huggingface.co/bert-base-uncased/resolve/86b5e0934494bd15c9632b12f734a8a67f723594/vocab.txt",
    231_508,
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
)
RESNET50 = WeightFile(
    "resnet50-0676ba61.pth",
    "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    102_530_333,
    "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
)
DINOV2 = WeightFile(
    "dinov2_vits14_pretrain.pth",
    "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth",
    88_283_115,
    "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
)
PUBLISHED = (DETECTOR, VOCABULARY, RESNET50, DINOV2)

Progress = Callable[[int], None]
"""Told how many more bytes there are; fewer than none where a download starts over."""


def expected(files: Iterable[WeightFile], others: Mapping[str, str]) -> list[WeightFile]:
    """The published files, or those of other SHA-256 that somebody trained, whose size is not known.

    Raises `Misconfigured` for a name that is none of the published ones.
    """
    if unknown := set(others) - {file.name for file in PUBLISHED}:
        raise Misconfigured(f"MODELS_SHA256 names {sorted(unknown)[0]}, which is none of the weights")
    return [replace(file, sha256=others[file.name], size=0) if file.name in others else file for file in files]


def checked(files: Iterable[WeightFile], folder: Path) -> None:
    """Reads all of them, side by side. Raises `Misconfigured` where one is missing or another than it should be."""
    with ThreadPoolExecutor() as pool:
        for problem in pool.map(lambda file: problem_of(file, folder), files):
            if problem:
                raise Misconfigured(f"{problem}; `{COMMAND}` gets it")


def problem_of(file: WeightFile, folder: Path) -> str | None:
    """What is wrong with a file, if anything."""
    path = folder / file.name
    if not path.is_file():
        return f"The weights {file.name} are not in {folder}"
    if (size := path.stat().st_size) != (file.size or size):
        return f"The weights {path} have {size:,} bytes, not {file.size:,}"
    if (found := digest(path)) != file.sha256:
        return f"The weights {path} are not those that are expected: their SHA-256 is {found}, not {file.sha256}"
    return None


def digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def fetch(
    file: WeightFile, folder: Path, progress: Progress = lambda count: None, url: str = "", pause: float = PAUSE
) -> bool:
    """Download a file unless it is there; false if it is. What came of an earlier try is kept, and the rest asked for.

    Raises `Misconfigured` for bytes other than those expected, `Unavailable` when the server cannot be reached for long.
    """
    path, part = folder / file.name, folder / f"{file.name}.part"
    if path.is_file() and problem_of(file, folder) is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    progress(part.stat().st_size if part.is_file() else 0)
    download(url or file.url, part, progress, pause)
    if (found := digest(part)) != file.sha256:
        part.unlink()
        raise Misconfigured(
            f"{url or file.url} is not {file.name} as published: its SHA-256 is {found}, not {file.sha256}"
        )
    part.replace(path)
    return True


def download(url: str, part: Path, progress: Progress, pause: float) -> None:
    """Until all bytes are there, with pauses that grow while none come."""
    left = ATTEMPTS
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            return _rest(url, part, before, progress)
        except HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise Unavailable(f"{url} answers {error.code}") from error
            problem: Exception = error
        except BROKEN as error:
            problem = error
        got = part.is_file() and part.stat().st_size > before
        left = ATTEMPTS if got else left - 1
        if not left:
            raise Unavailable(f"{url} cannot be downloaded: {problem}") from problem
        time.sleep(pause * 2 ** (ATTEMPTS - left - 1) if left < ATTEMPTS else pause)


def _rest(url: str, part: Path, there: int, progress: Progress) -> None:
    """What is missing after the bytes that are there; all of it from a server that knows no ranges."""
    request = Request(url, headers={"Range": f"bytes={there}-"} if there else {})  # noqa: S310 - an address of ours, or the operator's
    try:
        answer = urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except HTTPError as error:
        if error.code == 416 and there:
            error.close()
            return
        raise
    with answer, part.open("ab") as out:
        if there and answer.status != 206:
            out.truncate(0)
            progress(-there)
        awaited = answer.length
        while some := answer.read(PART):
            out.write(some)
            progress(len(some))
            awaited = None if awaited is None else awaited - len(some)
        if awaited:
            raise http.client.IncompleteRead(b"", awaited)

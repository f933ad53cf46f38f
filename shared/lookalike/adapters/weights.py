"""Published weights of the full models: URLs, checksums, verification and download."""

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

FETCH_COMMAND = "lookalike models fetch"
CHUNK_SIZE = 1 << 20
"""Bytes read from the network at a time."""
MAX_ATTEMPTS, RETRY_SECONDS, TIMEOUT_SECONDS = 6, 1.0, 30.0
"""Consecutive tries without a new byte before a download fails; seconds before the first retry, doubled with each further
one; seconds without data after which a try fails."""
RETRYABLE_ERRORS = (URLError, http.client.HTTPException, OSError)


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file of weights with its URL, size in bytes (0 if unknown) and SHA-256."""

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
"""Called with the number of new bytes. Negative if a download starts over."""


def expected_files(files: Iterable[WeightFile], custom: Mapping[str, str]) -> list[WeightFile]:
    """Return the files with the SHA-256 of `custom` weights where given. The size of custom weights is unknown.

    Raises `Misconfigured` for the name of a file that does not exist.
    """
    if unknown := set(custom) - {file.name for file in PUBLISHED}:
        names = ", ".join(file.name for file in PUBLISHED)
        raise Misconfigured(f"MODELS_SHA256 names {sorted(unknown)[0]}, which is not one of {names}")
    return [replace(file, sha256=custom[file.name], size=0) if file.name in custom else file for file in files]


def verify_files(files: Iterable[WeightFile], folder: Path) -> None:
    """Verify the files in a folder in parallel. Raises `Misconfigured` if one is missing or has another checksum."""
    with ThreadPoolExecutor() as pool:
        for problem in pool.map(lambda file: find_problem(file, folder), files):
            if problem:
                raise Misconfigured(f"{problem}: run `{FETCH_COMMAND}`")


def find_problem(file: WeightFile, folder: Path) -> str | None:
    """Return a description of what is wrong with a file, or `None`. Reads the whole file."""
    path = folder / file.name
    if not path.is_file():
        return f"The weights {file.name} are not in {folder}"
    if (size := path.stat().st_size) != (file.size or size):
        return f"The weights {path} have {size:,} bytes, not {file.size:,}"
    if (actual := file_sha256(path)) != file.sha256:
        return f"The weights {path} have the SHA-256 {actual}, not {file.sha256}"
    return None


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def fetch(
    file: WeightFile, folder: Path, progress: Progress = lambda count: None, url: str = "", pause: float = RETRY_SECONDS
) -> bool:
    """Download a file unless it exists and is valid. Returns whether it was downloaded.

    Resumes an earlier download. `url` replaces the published one; `pause` is the delay in seconds before the first retry.
    Raises `Misconfigured` if the checksum is wrong, `Unavailable` if the server cannot be reached.
    """
    path, part = folder / file.name, folder / f"{file.name}.part"
    if path.is_file() and find_problem(file, folder) is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    progress(part.stat().st_size if part.is_file() else 0)
    download(url or file.url, part, progress, pause)
    if (actual := file_sha256(part)) != file.sha256:
        part.unlink()
        raise Misconfigured(
            f"{url or file.url} is not {file.name} as published: its SHA-256 is {actual}, not {file.sha256}"
        )
    part.replace(path)
    return True


def download(url: str, part: Path, progress: Progress, pause: float) -> None:
    """Append the missing bytes of a URL to a file. Waits longer after each try without progress. Raises `Unavailable`."""
    attempts_left = MAX_ATTEMPTS
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            return _download_rest(url, part, before, progress)
        except HTTPError as error:
            error.close()
            # 408 (request timeout) and 429 (too many requests) are temporary, other client errors are not.
            if error.code < 500 and error.code not in (408, 429):
                raise Unavailable(f"{url} returned the status {error.code}") from error
            problem: Exception = error
        except RETRYABLE_ERRORS as error:
            problem = error
        has_progress = part.is_file() and part.stat().st_size > before
        attempts_left = MAX_ATTEMPTS if has_progress else attempts_left - 1
        if not attempts_left:
            raise Unavailable(f"{url} cannot be downloaded: {problem}") from problem
        failures = MAX_ATTEMPTS - attempts_left
        time.sleep(pause * 2 ** max(failures - 1, 0))


def _download_rest(url: str, part: Path, offset: int, progress: Progress) -> None:
    """Download the bytes from `offset`, or all bytes if the server does not support range requests."""
    # S310 warns about file: URLs. The URL is a constant or comes from the operator.
    request = Request(url, headers={"Range": f"bytes={offset}-"} if offset else {})  # noqa: S310
    try:
        response = urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
    except HTTPError as error:
        # 416 (range not satisfiable): the file is already complete.
        if error.code == 416 and offset:
            error.close()
            return
        raise
    with response, part.open("ab") as out:
        # Any other status than 206 (partial content) means that the response starts at the first byte.
        if offset and response.status != 206:
            out.truncate(0)
            progress(-offset)
        remaining = response.length
        while chunk := response.read(CHUNK_SIZE):
            out.write(chunk)
            progress(len(chunk))
            remaining = None if remaining is None else remaining - len(chunk)
        # read() with a size does not raise IncompleteRead when the connection ends early.
        if remaining:
            raise http.client.IncompleteRead(b"", remaining)

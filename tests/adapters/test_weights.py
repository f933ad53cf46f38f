"""Download and verification of weights, from a server that truncates responses, ignores ranges or serves other bytes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.adapters.weights import PUBLISHED, WeightFile, expected_files, fetch, find_problem, verify_files
from lookalike.domain.errors import Misconfigured, Unavailable
from tests.emulators.file_server import FileServer, file_server

DATA = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server({"net.pth": DATA}) as running:
        yield running


def weight_file(server: FileServer) -> WeightFile:
    return WeightFile("net.pth", f"{server.url}/net.pth", len(DATA), SHA256)


def fetch_from(server: FileServer, folder: Path) -> tuple[bool, int]:
    """Fetch the file. Return whether it was downloaded, and the sum of the reported progress in bytes."""
    progress: list[int] = []
    is_new = fetch(weight_file(server), folder, progress.append, pause=0)
    return is_new, sum(progress)


def test_fetch_downloads_a_file_once(server: FileServer, tmp_path: Path) -> None:
    assert fetch_from(server, tmp_path / "models") == (True, len(DATA))
    assert (tmp_path / "models" / "net.pth").read_bytes() == DATA
    assert fetch_from(server, tmp_path / "models") == (False, 0)
    assert server.requested_ranges == [None] and find_problem(weight_file(server), tmp_path / "models") is None


def test_fetch_resumes_an_interrupted_download(server: FileServer, tmp_path: Path) -> None:
    server.truncate_after = [1_000_000, 500_000, 0, 100]
    assert fetch_from(server, tmp_path) == (True, len(DATA))
    assert (tmp_path / "net.pth").read_bytes() == DATA
    assert server.requested_ranges == [None, *(f"bytes={n}-" for n in (1_000_000, 1_500_000, 1_500_000, 1_500_100))]


def test_fetch_resumes_the_download_of_an_earlier_call(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "net.pth.part").write_bytes(DATA[:4_000_000])
    assert fetch_from(server, tmp_path) == (True, len(DATA)) and server.requested_ranges == ["bytes=4000000-"]
    (tmp_path / "net.pth").rename(tmp_path / "net.pth.part")
    assert fetch_from(server, tmp_path) == (True, len(DATA)) and server.requested_ranges[1:] == [f"bytes={len(DATA)}-"]


def test_fetch_restarts_without_range_support(server: FileServer, tmp_path: Path) -> None:
    server.supports_ranges, server.truncate_after = False, [1_000_000]
    assert fetch_from(server, tmp_path) == (True, len(DATA)) and (tmp_path / "net.pth").read_bytes() == DATA


def test_fetch_retries_temporary_errors(server: FileServer, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    assert fetch_from(server, tmp_path) == (True, len(DATA))


def test_fetch_does_not_retry_a_missing_file(server: FileServer, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(Unavailable, match=r"net\.pth returned the status 404"):
        fetch_from(server, tmp_path)
    assert len(server.requested_ranges) == 1


def test_fetch_from_an_unreachable_server_is_unavailable(tmp_path: Path) -> None:
    file = WeightFile("net.pth", "http://127.0.0.1:9/net.pth", 1, SHA256)
    with pytest.raises(Unavailable, match="cannot be downloaded"):
        fetch(file, tmp_path, pause=0)


def test_fetch_rejects_and_deletes_other_bytes(server: FileServer, tmp_path: Path) -> None:
    server.files["net.pth"] = DATA[:-1] + b"!"
    with pytest.raises(Misconfigured, match=r"is not net\.pth as published"):
        fetch_from(server, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_fetch_replaces_a_corrupt_file(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(DATA[:-1] + b"!")
    assert fetch_from(server, tmp_path)[0] and (tmp_path / "net.pth").read_bytes() == DATA


def test_verify_files_reports_missing_and_invalid_files(server: FileServer, tmp_path: Path) -> None:
    messages = []
    for data in (None, DATA[:-1], DATA[:-1] + b"!"):
        if data:
            (tmp_path / "net.pth").write_bytes(data)
        with pytest.raises(Misconfigured, match=": run `lookalike models fetch`") as raised:
            verify_files([weight_file(server)], tmp_path)
        messages.append(raised.value.message)
    missing, truncated, corrupt = messages
    assert "are not in" in missing and "5,119,999 bytes, not 5,120,000" in truncated and "SHA-256" in corrupt


def test_published_files_have_fixed_checksums() -> None:
    assert [(file.name, file.size, file.sha256[:8]) for file in PUBLISHED] == [
        ("groundingdino_swint_ogc.pth", 693_997_677, "3b3ca256"),
        ("bert-base-uncased-vocab.txt", 231_508, "07eced37"),
        ("resnet50-0676ba61.pth", 102_530_333, "0676ba61"),
        ("dinov2_vits14_pretrain.pth", 88_283_115, "b938bf1b"),
    ]
    assert all(len(file.sha256) == 64 and file.url.startswith("https://") for file in PUBLISHED)


def test_expected_files_takes_checksums_of_custom_weights() -> None:
    assert expected_files(PUBLISHED, {}) == [*PUBLISHED]
    files = expected_files(PUBLISHED, {"resnet50-0676ba61.pth": "ab" * 32})
    assert files[2].sha256 == "ab" * 32 and files[:2] == [*PUBLISHED[:2]]
    with pytest.raises(Misconfigured, match=r"MODELS_SHA256 names resnet\.pth"):
        expected_files(PUBLISHED, {"resnet.pth": "ab" * 32})

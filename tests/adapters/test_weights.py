"""Weights downloaded from a server that breaks off, ignores ranges, or has others."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.adapters.weights import PUBLISHED, WeightFile, checked, expected, fetch, problem_of
from lookalike.domain.errors import Misconfigured, Unavailable
from tests.emulators.file_server import FileServer, file_server

DATA = bytes(range(256)) * 20_000
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server({"net.pth": DATA}) as made:
        yield made


def net(server: FileServer) -> WeightFile:
    return WeightFile("net.pth", f"{server.address}/net.pth", len(DATA), SHA256)


def got(server: FileServer, folder: Path) -> tuple[bool, int]:
    """Whether something was fetched, and what progress was told of in all."""
    told: list[int] = []
    new = fetch(net(server), folder, told.append, pause=0)
    return new, sum(told)


def test_a_file_is_fetched_once(server: FileServer, tmp_path: Path) -> None:
    assert got(server, tmp_path / "models") == (True, len(DATA))
    assert (tmp_path / "models" / "net.pth").read_bytes() == DATA
    assert got(server, tmp_path / "models") == (False, 0)
    assert server.asked == [None] and problem_of(net(server), tmp_path / "models") is None


def test_a_download_that_breaks_off_goes_on(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [1_000_000, 500_000, 0, 100]
    assert got(server, tmp_path) == (True, len(DATA))
    assert (tmp_path / "net.pth").read_bytes() == DATA
    assert server.asked == [None, *(f"bytes={n}-" for n in (1_000_000, 1_500_000, 1_500_000, 1_500_100))]


def test_what_an_earlier_command_got_is_kept(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "net.pth.part").write_bytes(DATA[:4_000_000])
    assert got(server, tmp_path) == (True, len(DATA)) and server.asked == ["bytes=4000000-"]
    (tmp_path / "net.pth").rename(tmp_path / "net.pth.part")
    assert got(server, tmp_path) == (True, len(DATA)) and server.asked[1:] == [f"bytes={len(DATA)}-"]


def test_a_server_without_ranges_starts_over(server: FileServer, tmp_path: Path) -> None:
    server.knows_ranges, server.breaks = False, [1_000_000]
    assert got(server, tmp_path) == (True, len(DATA)) and (tmp_path / "net.pth").read_bytes() == DATA


def test_servers_that_are_overloaded_are_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    assert got(server, tmp_path) == (True, len(DATA))


def test_a_file_that_does_not_exist_is_told_at_once(server: FileServer, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(Unavailable, match=r"net\.pth answers 404"):
        got(server, tmp_path)
    assert len(server.asked) == 1


def test_a_server_that_stays_away_is_given_up(tmp_path: Path) -> None:
    file = WeightFile("net.pth", "http://127.0.0.1:9/net.pth", 1, SHA256)
    with pytest.raises(Unavailable, match="cannot be downloaded"):
        fetch(file, tmp_path, pause=0)


def test_other_bytes_are_refused_and_not_kept(server: FileServer, tmp_path: Path) -> None:
    server.files["net.pth"] = DATA[:-1] + b"!"
    with pytest.raises(Misconfigured, match=r"is not net\.pth as published"):
        got(server, tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_damaged_file_is_fetched_anew(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(DATA[:-1] + b"!")
    assert got(server, tmp_path)[0] and (tmp_path / "net.pth").read_bytes() == DATA


def test_what_is_missing_cut_or_other_is_told_with_the_command_that_helps(server: FileServer, tmp_path: Path) -> None:
    told = []
    for data in (None, DATA[:-1], DATA[:-1] + b"!"):
        if data:
            (tmp_path / "net.pth").write_bytes(data)
        with pytest.raises(Misconfigured, match="`lookalike models fetch` gets it") as refused:
            checked([net(server)], tmp_path)
        told.append(refused.value.message)
    assert "are not in" in told[0] and "5,119,999 bytes, not 5,120,000" in told[1] and "SHA-256" in told[2]


def test_the_published_files_are_pinned() -> None:
    assert [(file.name, file.size, file.sha256[:8]) for file in PUBLISHED] == [
        ("groundingdino_swint_ogc.pth", 693_997_677, "3b3ca256"),
        ("bert-base-uncased-vocab.txt", 231_508, "07eced37"),
        ("resnet50-0676ba61.pth", 102_530_333, "0676ba61"),
        ("dinov2_vits14_pretrain.pth", 88_283_115, "b938bf1b"),
    ]
    assert all(len(file.sha256) == 64 and file.url.startswith("https://") for file in PUBLISHED)


def test_other_weights_are_named_by_their_checksum() -> None:
    other = {"resnet50-0676ba61.pth": "ab" * 32}
    assert expected(PUBLISHED, {}) == [*PUBLISHED]
    assert expected(PUBLISHED, other)[2].sha256 == "ab" * 32 and expected(PUBLISHED, other)[:2] == [*PUBLISHED[:2]]
    with pytest.raises(Misconfigured, match=r"MODELS_SHA256 names resnet\.pth"):
        expected(PUBLISHED, {"resnet.pth": "ab" * 32})

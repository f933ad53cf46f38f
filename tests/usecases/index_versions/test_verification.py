"""Signatures and checksums of index versions: every changed byte is detected."""

import dataclasses
import json

import pytest

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART
from lookalike.domain.errors import LookalikeError, Misconfigured, Untrusted
from lookalike.domain.signed_json import sign_json, verify_json
from lookalike.usecases.index_versions import IndexVersions
from tests.usecases.index_harness import FOLDER, KEY, POINTER_PATH, IndexHarness, publish_version


@pytest.mark.parametrize("position", [0, 300, 5000, -1])
def test_vector_source_detects_damage_at_any_position(position: int) -> None:
    harness = IndexHarness()
    path = f"{FOLDER}/{publish_version(harness, rows=500).version}/{INDEX_PART}"
    data = bytearray(harness.store.get(path))
    data[position] ^= 1
    harness.tamper(path, bytes(data))
    _, rows = harness.versions.vector_source(path.split("/")[2])
    with pytest.raises((Untrusted, LookalikeError)):
        list(rows.pages())


def test_empty_signing_key_is_rejected() -> None:
    with pytest.raises(Misconfigured):
        IndexHarness().open_versions(b"")


def assert_untrusted(versions: IndexVersions, version: str) -> None:
    """Check that reading the pointer or loading the version raises `Untrusted`."""
    with pytest.raises(Untrusted):
        versions.current()
        versions.load(version)


@pytest.mark.parametrize("name", ["manifest.json", INDEX_PART, ID_MAP_PART, None])
def test_load_rejects_every_changed_byte(name: str | None) -> None:
    harness = IndexHarness()
    version = publish_version(harness, rows=2).version
    path = f"{FOLDER}/{version}/{name}" if name else POINTER_PATH
    original = harness.store.get(path)
    for position in range(len(original)):
        for bit in (0x01, 0x20):
            harness.tamper(path, original[:position] + bytes([original[position] ^ bit]) + original[position + 1 :])
            assert_untrusted(harness.versions, version)
    for damaged in (
        b"",
        original[:-1],
        original + b"\n",
        b" " + original,
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
    ):
        harness.tamper(path, damaged)
        assert_untrusted(harness.versions, version)
    harness.tamper(path, original)
    harness.versions.load(version)


def test_pointer_and_manifest_signed_with_other_key_are_rejected() -> None:
    harness = IndexHarness()
    version, other_versions = publish_version(harness).version, harness.open_versions(b"another key")
    for call in (other_versions.current, lambda: other_versions.read_manifest(version)):
        with pytest.raises(Untrusted, match="signature"):
            call()


def test_unsigned_or_unexpected_content_is_rejected() -> None:
    harness = IndexHarness()
    version = publish_version(harness).version
    path = f"{FOLDER}/{version}/manifest.json"
    content = verify_json(harness.store.get(path), KEY, "The manifest")
    unsigned = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    incomplete = {key: value for key, value in content.items() if key != "rows"}
    for data in (
        unsigned,
        sign_json({**content, "more": 1}, KEY),
        sign_json(incomplete, KEY),
        sign_json(content, b"no"),
    ):
        harness.tamper(path, data)
        with pytest.raises(Untrusted):
            harness.versions.load(version)
    harness.tamper(POINTER_PATH, sign_json({"version": version}, KEY))
    with pytest.raises(Untrusted, match="fields"):
        harness.versions.current()


def test_manifest_of_other_version_is_rejected() -> None:
    harness = IndexHarness()
    first, second = publish_version(harness), publish_version(harness)
    harness.tamper(
        f"{FOLDER}/{second.version}/manifest.json", harness.store.get(f"{FOLDER}/{first.version}/manifest.json")
    )
    with pytest.raises(Untrusted, match=first.version):
        harness.versions.load(second.version)


@pytest.mark.parametrize(("name", "value"), [("embedder", "other"), ("dimension", 9), ("format", "other")])
def test_version_of_other_embedder_dimension_or_format_is_rejected(name: str, value: object) -> None:
    harness = IndexHarness()
    manifest = publish_version(harness)
    other = {**dataclasses.asdict(manifest), name: value}
    harness.tamper(f"{FOLDER}/{manifest.version}/manifest.json", sign_json(other, KEY))
    for read in (harness.versions.load, harness.versions.vector_source):
        with pytest.raises(Untrusted, match=f"the {name} {value!r}, not"):
            read(manifest.version)


def test_row_count_other_than_in_manifest_is_rejected() -> None:
    harness = IndexHarness()
    manifest = publish_version(harness)
    content = dataclasses.asdict(dataclasses.replace(manifest, rows=4))
    harness.tamper(f"{FOLDER}/{manifest.version}/manifest.json", sign_json(content, KEY))
    with pytest.raises(Untrusted, match="3 rows, not 4"):
        harness.versions.load(manifest.version)


def test_list_skips_damaged_and_incomplete_versions(caplog: pytest.LogCaptureFixture) -> None:
    harness = IndexHarness()
    valid, damaged = publish_version(harness), publish_version(harness)
    harness.tamper(f"{FOLDER}/{damaged.version}/manifest.json", b"{}")
    harness.store.put("index/20300101T000000Z-abcdef/vector_id_map.json", b"{}", "application/json")
    assert list(harness.versions.list_manifests()) == [valid]
    assert damaged.version in caplog.text and "2030" not in caplog.text

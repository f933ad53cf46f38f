"""Index versions are believed only if every byte is ours."""

import dataclasses
import json

import pytest

from lookalike.adapters.neighbors_index import ID_MAP_PART, INDEX_PART
from lookalike.domain.errors import LookalikeError, Misconfigured, Untrusted
from lookalike.domain.signed_json import sign_json, verify_json
from lookalike.usecases.index_versions import IndexVersions
from tests.usecases.index_harness import FOLDER, KEY, POINTER_PATH, IndexHarness, publish_version


@pytest.mark.parametrize("place", [0, 300, 5000, -1])
def test_what_passes_by_is_verified_to_the_last_byte(place: int) -> None:
    world = IndexHarness()
    path = f"{FOLDER}/{publish_version(world, rows=500).version}/{INDEX_PART}"
    data = bytearray(world.store.get(path))
    data[place] ^= 1
    world.tamper(path, bytes(data))
    _, rows = world.versions.vector_source(path.split("/")[2])
    with pytest.raises((Untrusted, LookalikeError)):
        list(rows.pages())


def test_a_key_is_needed() -> None:
    with pytest.raises(Misconfigured):
        IndexHarness().open_versions(b"")


def is_refused(versions: IndexVersions, version: str) -> None:
    with pytest.raises(Untrusted):
        versions.current()
        versions.load(version)


@pytest.mark.parametrize("name", ["manifest.json", INDEX_PART, ID_MAP_PART, None])
def test_every_changed_byte_is_refused(name: str | None) -> None:
    world = IndexHarness()
    version = publish_version(world, rows=2).version
    path = f"{FOLDER}/{version}/{name}" if name else POINTER_PATH
    good = world.store.get(path)
    for place in range(len(good)):
        for bit in (0x01, 0x20):
            world.tamper(path, good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
            is_refused(world.versions, version)
    for wrong in (b"", good[:-1], good + b"\n", b" " + good, b"{}", b"[]", b"null", b"\xff", b"[" * 100_000):
        world.tamper(path, wrong)
        is_refused(world.versions, version)
    world.tamper(path, good)
    world.versions.load(version)


def test_another_key_is_refused_for_pointer_and_manifest() -> None:
    world = IndexHarness()
    version, stranger = publish_version(world).version, world.open_versions(b"another key")
    for call in (stranger.current, lambda: stranger.read_manifest(version)):
        with pytest.raises(Untrusted, match="signature"):
            call()


def test_unsigned_or_other_contents_are_refused() -> None:
    world = IndexHarness()
    version = publish_version(world).version
    path = f"{FOLDER}/{version}/manifest.json"
    content = verify_json(world.store.get(path), KEY, "it")
    unsigned = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    less = {key: value for key, value in content.items() if key != "rows"}
    for data in (unsigned, sign_json({**content, "more": 1}, KEY), sign_json(less, KEY), sign_json(content, b"no")):
        world.tamper(path, data)
        with pytest.raises(Untrusted):
            world.versions.load(version)
    world.tamper(POINTER_PATH, sign_json({"version": version}, KEY))
    with pytest.raises(Untrusted, match="fields"):
        world.versions.current()


def test_a_manifest_under_another_versions_name_is_refused() -> None:
    world = IndexHarness()
    first, second = publish_version(world), publish_version(world)
    world.tamper(f"{FOLDER}/{second.version}/manifest.json", world.store.get(f"{FOLDER}/{first.version}/manifest.json"))
    with pytest.raises(Untrusted, match=first.version):
        world.versions.load(second.version)


@pytest.mark.parametrize(("name", "value"), [("embedder", "other"), ("dimension", 9), ("format", "other")])
def test_a_version_of_something_else_is_refused(name: str, value: object) -> None:
    world = IndexHarness()
    manifest = publish_version(world)
    other = {**dataclasses.asdict(manifest), name: value}
    world.tamper(f"{FOLDER}/{manifest.version}/manifest.json", sign_json(other, KEY))
    for read in (world.versions.load, world.versions.vector_source):
        with pytest.raises(Untrusted, match=f"the {name} {value!r}, not"):
            read(manifest.version)


def test_a_row_count_that_is_not_the_manifests_is_refused() -> None:
    world = IndexHarness()
    manifest = publish_version(world)
    wrong = dataclasses.asdict(dataclasses.replace(manifest, rows=4))
    world.tamper(f"{FOLDER}/{manifest.version}/manifest.json", sign_json(wrong, KEY))
    with pytest.raises(Untrusted, match="3 rows, not 4"):
        world.versions.load(manifest.version)


def test_the_list_leaves_out_what_is_bad_or_half_written(caplog: pytest.LogCaptureFixture) -> None:
    world = IndexHarness()
    good, bad = publish_version(world), publish_version(world)
    world.tamper(f"{FOLDER}/{bad.version}/manifest.json", b"{}")
    world.store.put("index/20300101T000000Z-abcdef/vector_id_map.json", b"{}", "application/json")
    assert list(world.versions.list_manifests()) == [good]
    assert bad.version in caplog.text and "2030" not in caplog.text


def test_what_is_sealed_is_unsealed() -> None:
    content = {"a": 1.5, "b": {"ü": None}, "c": []}
    assert verify_json(sign_json(content, KEY), KEY, "it") == content

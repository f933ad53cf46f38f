"""Validation of object paths: valid in file systems and in Cloud Storage, and unable to leave the store's folder."""

import re

from lookalike.domain.errors import InvalidField

MAX_PATH_BYTES, MAX_PART_BYTES = 1024, 255
"""Maximum UTF-8 bytes of a path (limit of Cloud Storage), and of a part between slashes (limit of file systems)."""
RESERVED_FIRST_PARTS = {".tmp", ".well-known"}
"""A path must not start with these: `DirectoryStore` uses `.tmp`, and Cloud Storage reserves `.well-known`."""
INDEX_PREFIX, INCOMING_PREFIX = "index/", "incoming/"
"""Prefixes of index versions and of photos to be ingested. Photos must not have these names."""
LEASE_PREFIX = ".leases/"
"""Prefix of leases. No photo has it, as names of photos do not start with a dot."""
THUMBNAIL_SUFFIX = ".thumbnail.jpg"
"""End of the paths of all thumbnails. Cloud CDN may read only objects with it."""
FORBIDDEN_CHARACTERS = frozenset("\0\\\r\n")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def is_valid_path(path: str) -> bool:
    """Return whether the string can be the path of an object."""
    if not is_utf8_encodable(path) or FORBIDDEN_CHARACTERS & set(path) or len(path.encode()) > MAX_PATH_BYTES:
        return False
    parts = path.split("/")
    is_wrong = any(part in ("", ".", "..") or len(part.encode()) > MAX_PART_BYTES for part in parts)
    return not is_wrong and parts[0] not in RESERVED_FIRST_PARTS


def check_path(path: str) -> None:
    """Raise `InvalidField` if the string is not a valid path."""
    if not is_valid_path(path):
        limits = f"at most {MAX_PATH_BYTES} bytes, without empty parts, '.', '..', backslashes and control characters"
        raise InvalidField(f"The object path is not valid: use {limits}", field="path")


def check_prefix(prefix: str) -> None:
    """Raise `InvalidField` if no valid path can start with the string. The part after the last slash is not checked."""
    folder = prefix.rpartition("/")[0]
    if not is_utf8_encodable(prefix) or (folder and not is_valid_path(folder)):
        raise InvalidField("The prefix is not valid: no object path can start with it", field="prefix")


def is_utf8_encodable(text: str) -> bool:
    """Return whether the string can be encoded in UTF-8."""
    # JSON can contain lone surrogates, which Python accepts in strings but not in UTF-8
    return not LONE_SURROGATE.search(text)

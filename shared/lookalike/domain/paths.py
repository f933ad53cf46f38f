"""Which names an object may have, in every store: what a file system and Cloud Storage both take, and that leads nowhere else."""

from lookalike.domain.errors import InvalidField

MAX_PATH_BYTES, MAX_PART_BYTES = 1024, 255
"""Bytes in UTF-8, of a path and of what stands between its slashes."""
RESERVED_FIRST_PARTS = {".tmp", ".well-known"}
"""No path starts with these: the directory's own files, and what Cloud Storage keeps for certificates."""
INDEX_PREFIX, INCOMING_PREFIX = "index/", "incoming/"
"""What the bucket holds besides photos: index versions, and photos that wait to be ingested. No photo has such a name."""
FORBIDDEN_CHARACTERS = frozenset("\0\\\r\n")


def is_valid_path(path: str) -> bool:
    if not is_utf8_encodable(path) or FORBIDDEN_CHARACTERS & set(path) or len(path.encode()) > MAX_PATH_BYTES:
        return False
    parts = path.split("/")
    wrong = any(part in ("", ".", "..") or len(part.encode()) > MAX_PART_BYTES for part in parts)
    return not wrong and parts[0] not in RESERVED_FIRST_PARTS


def check_path(path: str) -> None:
    """Raises `InvalidField` for what could lead elsewhere."""
    if not is_valid_path(path):
        raise InvalidField("Not the name of an object", field="path")


def check_prefix(prefix: str) -> None:
    """Raises `InvalidField` where its folder is none; the last part may be the beginning of anything."""
    folder = prefix.rpartition("/")[0]
    if not is_utf8_encodable(prefix) or (folder and not is_valid_path(folder)):
        raise InvalidField("Not the beginning of an object's name", field="prefix")


def is_utf8_encodable(path: str) -> bool:
    """Whether it can be written in UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in path)

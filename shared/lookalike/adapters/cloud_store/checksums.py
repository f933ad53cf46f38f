"""Checksums in the format of Cloud Storage: base64 of the big-endian digest."""

import base64
import hashlib


def crc32c(data: bytes) -> str:
    """Return the CRC32C of the data in base64."""
    import google_crc32c

    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def md5(data: bytes) -> str:
    """Return the MD5 of the data in base64."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()

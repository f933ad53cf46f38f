"""Secrets of a local installation: generated on first use, stored in LOOKALIKE_HOME and never in the bucket."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

from lookalike.domain.errors import Misconfigured


def _random_key() -> str:
    return secrets.token_hex(32)


@dataclass(frozen=True)
class Secrets:
    """Signing keys for access tokens, index versions and object URLs: 32 random bytes each, hexadecimal."""

    tokens: str = field(default_factory=_random_key, repr=False)
    index: str = field(default_factory=_random_key, repr=False)
    urls: str = field(default_factory=_random_key, repr=False)


def local_secrets(home: Path) -> Secrets:
    """Read `secrets.json` in the folder `home`; create it if missing. Safe to call from several processes.

    Raises `Misconfigured` if the content is not valid.
    """
    path = home / "secrets.json"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        _create(path, json.dumps(asdict(Secrets())))
    try:
        return Secrets(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise Misconfigured(
            f"{path} is not valid; delete it to generate new secrets (this signs all users out)"
        ) from error


def _create(path: Path, text: str) -> None:
    # NamedTemporaryFile creates the file readable by its owner alone. Linking it under its final name is atomic, and
    # fails if another process was first: all processes then read that one's secrets.
    with NamedTemporaryFile("w", dir=path.parent) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return

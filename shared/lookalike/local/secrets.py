"""The secrets of this machine: made at the first start, kept beside the database and never in the bucket."""

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

from lookalike.domain.errors import Misconfigured


def _new() -> str:
    return secrets.token_hex(32)


@dataclass(frozen=True)
class Secrets:
    """Hexadecimal, 32 random bytes each."""

    tokens: str = field(default_factory=_new, repr=False)
    index: str = field(default_factory=_new, repr=False)
    urls: str = field(default_factory=_new, repr=False)


def local_secrets(home: Path) -> Secrets:
    """Those of `secrets.json` in that folder. Whoever comes first makes them."""
    path = home / "secrets.json"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        _write_once(path, json.dumps(asdict(Secrets())))
    try:
        return Secrets(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"{path} cannot be read; delete it to make new secrets") from error


def _write_once(path: Path, text: str) -> None:
    with NamedTemporaryFile("w", dir=path.parent) as file:  # readable by its owner alone
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return

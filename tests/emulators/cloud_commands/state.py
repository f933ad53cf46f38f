"""State of an emulated project."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT, REGION = "shop", "europe-west1"


class Failed(Exception):
    """A command exits with this error."""


@dataclass
class Bucket:
    """A bucket with its objects by name."""

    name: str
    location: str
    objects: dict[str, bytes] = field(default_factory=dict)
    is_versioned: bool = False
    is_private: bool = True
    keeps_deleted: bool = True


@dataclass
class CloudState:
    """State of the project. `fails`: a part of a command = the error with which it fails once."""

    folder: Path
    account: str = "owner@example.com"
    has_credentials: bool = True
    has_project: bool = True
    has_billing: bool = True
    version: str = "1.11.4"
    certificate: str = "PROVISIONING"
    calls: list[list[str]] = field(default_factory=list)
    fails: dict[str, str] = field(default_factory=dict)
    services: set[str] = field(default_factory=lambda: {"storage.googleapis.com"})
    buckets: dict[str, Bucket] = field(default_factory=dict)
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    bindings: dict[str, set[str]] = field(default_factory=dict)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    backups: list[dict[str, Any]] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)
    schedules: set[str] = field(default_factory=set)
    tracked: list[str] = field(default_factory=list)
    """Addresses in Terraform's state."""
    applied: dict[str, str] = field(default_factory=dict)
    export: bytes = b"dump"
    deploy: Callable[[str], None] = lambda image: None
    """Called with the image when functions are created or get another image."""
    functions: Callable[[], list[str]] = list
    undeploy: Callable[[str], None] = lambda name: None
    relay_url: Callable[[], str] = str

    def _add_bucket(self, name: str, location: str, is_private: bool = True) -> None:
        self.buckets.setdefault(name, Bucket(name, location, is_private=is_private))

    def _bucket(self, address: str) -> Bucket:
        name = address.removeprefix("gs://").partition("/")[0]
        if name not in self.buckets:
            raise Failed(f"gs://{name} not found: 404.")
        return self.buckets[name]

    def _object(self, address: str) -> bytes:
        objects = self._bucket(address).objects
        if (name := address.split("/", 3)[3]) not in objects:
            raise Failed(f"The following URLs matched no objects or files:\n{address}")
        return objects[name]

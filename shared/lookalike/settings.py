"""Everything that can be set, read once from the environment and `.env`. The README's table lists the same names."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lookalike.domain.errors import Misconfigured

STORE_URL = r"^(|file:.+|gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?)$"

INDEX_URL = r"^(store:|milvus:(https?://[\w.-]+(:\d{1,5})?(/\w*)?|[^:]+\.db))$"
ORIGINS = r"^(|https?://[\w.\[\]:-]+(, ?https?://[\w.\[\]:-]+)*)$"
MODELS_DIR = r"^(|gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?|[^:]+)$"
SUMS = r"^(|[\w.-]+=[0-9a-f]{64}(,[\w.-]+=[0-9a-f]{64})*)$"


class Settings(BaseSettings):
    """Frozen and checked. Made by `read_settings`."""

    model_config = SettingsConfigDict(
        env_file=".env", frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )

    lookalike_home: Path = Field(Path(".lookalike"), description="Folder of the local database, bucket and secrets")
    database_url: str = Field("", description="`sqlite:///file` or `mysql+pymysql://user:password@host/name`")
    db_host: str = Field("", description="The original's way to name a MySQL server")
    db_port: int = Field(3306, ge=1, le=65535, description="Its port")
    db_name: str = Field("", description="Its database")
    db_user: str = Field("", description="Its user")
    db_password: SecretStr = Field(SecretStr(""), description="Its password")
    cloud_sql_instance: str = Field(
        "", pattern=r"^(|[\w.:-]+:[\w-]+:[\w-]+)$", description="`project:region:instance`, with DB_NAME and DB_USER"
    )
    store_url: str = Field("", pattern=STORE_URL, description="`file:folder`, or `gs://bucket/prefix`")
    storage_emulator_host: str = Field("", description="Address of a stand-in for Cloud Storage, without credentials")
    models: Literal["compact", "full"] = Field(
        "compact", description="The built-in models, or the original's (extra `[full]`)"
    )
    embedder: Literal["resnet50", "dinov2"] = Field("resnet50", description="Which of the full embedders")
    models_dir: str = Field(
        "", pattern=MODELS_DIR, description="Where `full` has its weights: a folder, or `gs://bucket/prefix`"
    )
    models_sha256: str = Field(
        "", pattern=SUMS, description="`name=SHA-256` of other weights than the published ones, with commas"
    )
    models_queue: int = Field(
        0, ge=0, le=1000, description="Requests that wait for the models at once; 0: as many as CONCURRENCY"
    )
    prompt: str = Field("", max_length=1000, description="What `full` looks for: phrases that end with dots")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="In which `full` computes")
    index_url: str = Field(
        "store:",
        pattern=INDEX_URL,
        description="`store:`, index versions in the bucket; `milvus:http://host:19530`, or `milvus:file.db` (extra `[scale]`)",
    )
    milvus_token: SecretStr = Field(SecretStr(""), description="Of a Milvus or Zilliz that asks for one")
    index_signing_key: SecretStr = Field(SecretStr(""), description="Signs index versions; at least 32 characters")
    auth_url: str = Field(
        "",
        pattern=r"^(|local:|https?://[\w.:-]+/?)$",
        description="`local:` (the default), or the address of a Supabase project",
    )
    supabase_url: str = Field("", pattern=r"^(|https?://[\w.:-]+/?)$", description="The original's name for AUTH_URL")
    supabase_key: SecretStr = Field(SecretStr(""), description="Its public key: users sign in here with it")
    supabase_service_key: SecretStr = Field(
        SecretStr(""), description="Its secret key: `lookalike users grant` alone needs it"
    )
    supabase_jwt_secret: SecretStr = Field(SecretStr(""), description="Only of projects that still sign with HS256")
    platform_accounts: str = Field("", description="Who Cloud Run lets call a private function, with commas")
    search_needs_sign_in: bool = Field(False, description="Whether searching needs a token")
    cors_origins: str = Field(
        "", pattern=ORIGINS, description="Pages that may call from elsewhere: `https://shop.example`, with commas"
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="Proxies of yours before this, whose X-Forwarded-For is believed (a load balancer of Google's: 1)",
    )
    keep_originals: bool = Field(True, description="Whether uploaded photos are kept beside their garments")
    concurrency: int = Field(16, ge=1, le=1000, description="Requests at once in one process")
    request_timeout: int = Field(60, ge=11, le=3600, description="Seconds; work stops 10 s before")
    reindex_every: int = Field(300, ge=0, description="Seconds between two looks whether to reindex; 0: never")
    reindex_after: int = Field(
        1000, ge=1, description="Garments written or deleted since the index was built that make a scheduled build due"
    )
    approximate_above: int = Field(
        100_000, ge=1, description="Garments from which on searches use an approximate index (extra `[scale]`)"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="What is logged")
    port: int = Field(5001, ge=1, le=65535, description="Where `lookalike serve` listens")
    google_cloud_project: str = Field("", description="The project whose traces the logs name")
    k_service: str = Field("", description="Set by Cloud Run: local defaults are refused then")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.database_url and self.db_host and self.database_url != self._original_database():
            raise ValueError("DATABASE_URL and DB_HOST name different databases: set one of them")
        if self.cloud_sql_instance and (self.database_url or self.db_host or not (self.db_name and self.db_user)):
            raise ValueError("CLOUD_SQL_INSTANCE needs DB_NAME and DB_USER, and neither DATABASE_URL nor DB_HOST")
        if self.auth_url and self.supabase_url and self.auth_url.rstrip("/") != self.supabase_url.rstrip("/"):
            raise ValueError("AUTH_URL and SUPABASE_URL name different services: set one of them")
        if (key := self.index_signing_key.get_secret_value()) and len(key) < 32:
            raise ValueError("INDEX_SIGNING_KEY is too short: at least 32 characters")
        if self.k_service and (local := self._local_defaults()):
            raise ValueError(f"On Cloud Run, set {', '.join(local)}: local defaults lose data there")
        return self

    @property
    def database(self) -> str:
        """The database's address."""
        if (self.db_host or self.cloud_sql_instance) and not self.database_url:
            return self._original_database()
        return self.database_url or f"sqlite:///{self.lookalike_home / 'lookalike.db'}"

    @property
    def sign_in(self) -> str:
        """`local:`, or the address of a Supabase project."""
        return self.auth_url or self.supabase_url or "local:"

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(one.strip() for one in self.cors_origins.split(",")) - {""}

    @property
    def store(self) -> str:
        """The bucket's address: `file:…` or `gs://…`."""
        return self.store_url or f"file:{self.lookalike_home / 'bucket'}"

    @property
    def weights(self) -> str:
        """Where the full models' weights are: a folder, or `gs://…`."""
        return self.models_dir or str(self.lookalike_home / "models")

    @property
    def other_weights(self) -> dict[str, str]:
        """SHA-256 by name of weights that are not the published ones."""
        return dict(one.split("=") for one in self.models_sha256.split(",") if one)

    @property
    def bucket(self) -> str:
        """The bucket's name, as events tell it: Cloud Storage's, or the directory's."""
        if self.store.startswith("gs://"):
            return self.store.removeprefix("gs://").partition("/")[0]
        return Path(self.store.removeprefix("file:")).name

    @property
    def prefix(self) -> str:
        """What the names of our objects begin with in that bucket: empty, or ending in a slash."""
        inside = self.store.removeprefix("gs://").partition("/")[2].strip("/") if self.store.startswith("gs://") else ""
        return f"{inside}/" if inside else ""

    def _original_database(self) -> str:
        user, password = quote(self.db_user, safe=""), quote(self.db_password.get_secret_value(), safe="")
        return f"mysql+pymysql://{user}:{password}@{self.db_host}:{self.db_port}/{self.db_name}"

    def _local_defaults(self) -> list[str]:
        local = {
            "DATABASE_URL (SQLite)": self.database.startswith("sqlite"),
            "STORE_URL (a directory)": self.store.startswith("file:"),
            "STORAGE_EMULATOR_HOST (an emulator)": bool(self.storage_emulator_host),
            "INDEX_SIGNING_KEY (none)": not self.index_signing_key.get_secret_value(),
            "INDEX_URL (a file)": self.index_url.endswith(".db"),
            "AUTH_URL (local accounts)": self.sign_in == "local:",
        }
        return [name for name, is_local in local.items() if is_local]


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises `Misconfigured`, naming every setting that is wrong or unknown, and never its value."""
    refuse_misspelt(environment)
    try:
        return Settings()
    except ValidationError as error:
        raise Misconfigured("; ".join(_sentences(error))) from None


def names() -> list[str]:
    return [name.upper() for name in Settings.model_fields]


def refuse_misspelt(environment: Mapping[str, str]) -> None:
    """An environment is full of others' names, so only those are refused that are almost one of ours."""
    for name in environment:
        near = difflib.get_close_matches(name.upper(), names(), 1, 0.88)
        if near and name.upper() not in names() and len(name) > 5:
            raise Misconfigured(f"Unknown setting {name}: did you mean {near[0]}?")


def _sentences(error: ValidationError) -> Iterable[str]:
    for one in error.errors(include_input=False, include_url=False):
        name = "".join(str(part) for part in one["loc"]).upper()
        if one["type"] == "extra_forbidden":
            yield f"Unknown setting {name} in .env"
        else:
            message = one["msg"].removeprefix("Value error, ")
            yield f"{name}: {message}" if name else message

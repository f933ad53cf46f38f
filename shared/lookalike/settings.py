"""Settings, read once from the environment and `.env`.

`docs/configuration.md` explains each of them; a test compares the names.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lookalike.domain.cdn import parse_cdn_key
from lookalike.domain.errors import InvalidField, Misconfigured
from lookalike.domain.instance import Prices
from lookalike.domain.web_address import AllowedHosts, parse_web_address
from lookalike.domain.webhook import parse_secrets

PUBLIC_URL = r"^(|https?://[\w.\[\]:-]+(/[\w.~-]+)*/?)$"
STORE_URL = r"^(|file:.+|gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?)$"
INDEX_URL = r"^(store:|milvus:(https?://[\w.-]+(:\d{1,5})?(/\w*)?|[^:]+\.db))$"
ORIGINS = r"^(|https?://[\w.\[\]:-]+(, ?https?://[\w.\[\]:-]+)*)$"
FOLDER = r"folder:(gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?|[^:]+)"
EMBEDDER, DETECTOR = rf"^(|resnet50|dinov2|{FOLDER})$", rf"^(|{FOLDER})$"
MODELS_DIR = r"^(|gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](/.*)?|[^:]+)$"
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A price in PRICE_CURRENCY; 0 if it is not known."""
CHECKSUMS = r"^(|[\w.-]+=[0-9a-f]{64}(,[\w.-]+=[0-9a-f]{64})*)$"


class Settings(BaseSettings):
    """All settings, validated and immutable. Create them with `read_settings`."""

    model_config = SettingsConfigDict(
        env_file=".env", frozen=True, extra="forbid", env_ignore_empty=True, hide_input_in_errors=True
    )

    lookalike_home: Path = Field(Path(".lookalike"), description="Folder of the local database, bucket and secrets")
    database_url: str = Field("", description="`sqlite:///file` or `mysql+pymysql://user:password@host/name`")
    db_host: str = Field("", description="Host of a MySQL server, as the original system names it")
    db_port: int = Field(3306, ge=1, le=65535, description="Port of DB_HOST")
    db_name: str = Field("", description="Database on DB_HOST")
    db_user: str = Field("", description="User on DB_HOST")
    db_password: SecretStr = Field(SecretStr(""), description="Password of DB_USER")
    cloud_sql_instance: str = Field(
        "", pattern=r"^(|[\w.:-]+:[\w-]+:[\w-]+)$", description="`project:region:instance`, with DB_NAME and DB_USER"
    )
    store_url: str = Field("", pattern=STORE_URL, description="`file:folder`, or `gs://bucket/prefix`")
    storage_emulator_host: str = Field("", description="Address of a Cloud Storage emulator, used without credentials")
    cdn_url: str = Field(
        "",
        pattern=PUBLIC_URL,
        description="Address under which Cloud CDN serves the bucket's thumbnails; needs CDN_KEY",
    )
    cdn_key: SecretStr = Field(
        SecretStr(""), description="Name and key that sign links below CDN_URL: `name:` and 16 bytes in base64url"
    )
    models: Literal["compact", "full"] = Field(
        "compact", description="`compact`: the built-in models; `full`: the original system's (extra `[full]`)"
    )
    embedder: str = Field(
        "",
        pattern=EMBEDDER,
        description="`resnet50` or `dinov2` for the full models, or `folder:` and a folder or `gs://bucket/prefix` with an ONNX model",
    )
    detector: str = Field(
        "",
        pattern=DETECTOR,
        description="`folder:` and a folder or `gs://bucket/prefix` with an ONNX model, instead of the detector of MODELS",
    )
    models_dir: str = Field(
        "", pattern=MODELS_DIR, description="Where the full models' weights are: a folder, or `gs://bucket/prefix`"
    )
    models_sha256: str = Field(
        "", pattern=CHECKSUMS, description="Comma-separated `name=SHA-256` of weights that replace the published ones"
    )
    models_queue: int = Field(
        0, ge=0, le=1000, description="Requests that may wait for the models; 0: as many as CONCURRENCY"
    )
    prompt: str = Field("", max_length=1000, description="What the full detector looks for: phrases that end with dots")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Number format that the full models compute in"
    )
    index_url: str = Field(
        "store:",
        pattern=INDEX_URL,
        description="`store:`, index versions in the bucket; `milvus:http://host:19530`, or `milvus:file.db` (extra `[scale]`)",
    )
    milvus_token: SecretStr = Field(SecretStr(""), description="Token of a Milvus or Zilliz server that requires one")
    index_signing_key: SecretStr = Field(
        SecretStr(""), description="Key that signs index versions; at least 32 characters"
    )
    auth_url: str = Field(
        "",
        pattern=r"^(|local:|https?://[\w.:-]+/?)$",
        description="`local:` (the default), or the address of a Supabase project",
    )
    supabase_url: str = Field(
        "", pattern=r"^(|https?://[\w.:-]+/?)$", description="The original system's name for AUTH_URL"
    )
    supabase_key: SecretStr = Field(
        SecretStr(""), description="Public key of the Supabase project, used for registration and sign-in"
    )
    supabase_service_key: SecretStr = Field(
        SecretStr(""), description="Secret key of the Supabase project; only `lookalike users grant` needs it"
    )
    supabase_jwt_secret: SecretStr = Field(
        SecretStr(""), description="JWT secret, only for projects that still sign tokens with HS256"
    )
    platform_accounts: str = Field(
        "", description="Comma-separated service accounts that may send events and reindex, on private services"
    )
    search_needs_sign_in: bool = Field(False, description="Whether searching needs a token or an API key")
    rate_limit: int = Field(
        0, ge=0, le=1_000_000, description="Requests a minute from one address without a token or a key; 0: no limit"
    )
    cors_origins: str = Field(
        "", pattern=ORIGINS, description="Comma-separated origins whose pages may call the API: `https://shop.example`"
    )
    public_url: str = Field(
        "", pattern=PUBLIC_URL, description="Address of the whole API, which `/openapi.json` and `/docs` then describe"
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="Number of your own proxies in front, whose X-Forwarded-For is trusted (Google's load balancer: 1)",
    )
    keep_originals: bool = Field(True, description="Whether uploaded photos are kept beside their garments")
    concurrency: int = Field(16, ge=1, le=1000, description="Concurrent requests in one process")
    request_timeout: int = Field(
        60, ge=11, le=3600, description="Seconds that a request may take; work stops 10 s earlier"
    )
    reindex_every: int = Field(300, ge=0, description="Seconds between checks whether a reindex is due; 0: never")
    reindex_after: int = Field(
        1000, ge=1, description="Garments written or deleted since the last build that make a scheduled build due"
    )
    approximate_above: int = Field(
        50_000, ge=1, description="Garments above which searches use an approximate index (extra `[scale]`)"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severity that is logged")
    port: int = Field(5001, ge=1, le=65535, description="Port that `lookalike serve` listens on")
    price_vcpu_second: Price = Field(0, description="Price of a vCPU for a second; needs INSTANCE_VCPUS")
    price_gib_second: Price = Field(0, description="Price of a GiB of memory for a second; needs INSTANCE_GIB")
    price_gpu_second: Price = Field(0, description="Price of the instance's GPU for a second")
    price_million_requests: Price = Field(0, description="Price of a million requests")
    price_currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="Currency of the prices, by ISO 4217")
    instance_vcpus: float = Field(0, ge=0, le=1000, description="vCPUs of an instance")
    instance_gib: float = Field(0, ge=0, le=10_000, description="Memory of an instance in GiB")
    picture_hosts: str = Field(
        "",
        max_length=10_000,
        description="Comma-separated hosts (`images.shop.example`, `*.cdn.example`, `host:port`) and networks that pictures are fetched from; empty: all public hosts",
    )
    webhook_url: str = Field(
        "", pattern=r"^(|https?://\S+)$", description="Address that is told when an ingestion is done"
    )
    webhook_secret: SecretStr = Field(
        SecretStr(""), description="Key that signs what WEBHOOK_URL receives: `whsec_` and 24 to 64 bytes in base64"
    )
    google_cloud_project: str = Field(
        "", pattern=r"^[a-z0-9.:-]*$", description="Google Cloud project of the traces named in logs, and of `--cloud`"
    )
    google_cloud_region: str = Field(
        "europe-west1", pattern=r"^[a-z0-9-]+$", description="Region of the jobs that `--cloud` starts"
    )
    cloud_run_emulator_host: str = Field(
        "", description="Address of an emulator of the Cloud Run Admin API, used without credentials"
    )
    k_service: str = Field("", description="Set by Cloud Run services; local defaults are rejected there")
    cloud_run_job: str = Field("", description="Set by Cloud Run jobs; local defaults are rejected there")
    cloud_run_task_index: int = Field(
        0, ge=0, description="Set by Cloud Run jobs: which of the CLOUD_RUN_TASK_COUNT shares this task ingests, from 0"
    )
    cloud_run_task_count: int = Field(
        1, ge=1, description="Set by Cloud Run jobs: number of tasks that share the photos of an ingestion"
    )

    @field_validator("picture_hosts")
    @classmethod
    def _check_picture_hosts(cls, value: str) -> str:
        AllowedHosts.parse(value)
        return value

    @field_validator("webhook_url")
    @classmethod
    def _check_webhook_url(cls, value: str) -> str:
        try:
            if value:
                parse_web_address(value)
        except InvalidField as error:
            raise ValueError(error.message) from None
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _check_webhook_secret(cls, value: SecretStr) -> SecretStr:
        parse_secrets(value.get_secret_value())
        return value

    @field_validator("cdn_key")
    @classmethod
    def _check_cdn_key(cls, value: SecretStr) -> SecretStr:
        if key := value.get_secret_value():
            parse_cdn_key(key)
        return value

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.database_url and self.db_host and self.database_url != self._database_url_from_parts():
            raise ValueError("DATABASE_URL and DB_HOST name different databases: set one of them")
        if self.cloud_sql_instance and (self.database_url or self.db_host or not (self.db_name and self.db_user)):
            raise ValueError("CLOUD_SQL_INSTANCE needs DB_NAME and DB_USER, and neither DATABASE_URL nor DB_HOST")
        if self.auth_url and self.supabase_url and self.auth_url.rstrip("/") != self.supabase_url.rstrip("/"):
            raise ValueError("AUTH_URL and SUPABASE_URL name different services: set one of them")
        if (self.price_vcpu_second and not self.instance_vcpus) or (self.price_gib_second and not self.instance_gib):
            raise ValueError("PRICE_VCPU_SECOND needs INSTANCE_VCPUS, and PRICE_GIB_SECOND needs INSTANCE_GIB")
        if (key := self.index_signing_key.get_secret_value()) and len(key) < 32:
            raise ValueError("INDEX_SIGNING_KEY is too short; use at least 32 characters")
        if self.cloud_run_task_index >= self.cloud_run_task_count:
            raise ValueError("CLOUD_RUN_TASK_INDEX must be less than CLOUD_RUN_TASK_COUNT: indexes start at 0")
        if self.webhook_url and not self.webhook_secret.get_secret_value():
            raise ValueError("WEBHOOK_URL needs WEBHOOK_SECRET, which signs what it receives")
        if (self.k_service or self.cloud_run_job) and (local := self._find_local_defaults()):
            raise ValueError(f"On Cloud Run, set {', '.join(local)}: local defaults would lose data there")
        return self

    @model_validator(mode="after")
    def _check_cdn(self) -> Self:
        if bool(self.cdn_url) != bool(self.cdn_key.get_secret_value()):
            raise ValueError("CDN_URL and CDN_KEY must both be set, or neither of them")
        if self.cdn_url and not self.store.startswith("gs://"):
            raise ValueError("CDN_URL needs a bucket: set STORE_URL to gs://bucket")
        return self

    @property
    def database(self) -> str:
        """Database URL in SQLAlchemy's form."""
        if (self.db_host or self.cloud_sql_instance) and not self.database_url:
            return self._database_url_from_parts()
        return self.database_url or f"sqlite:///{self.lookalike_home / 'lookalike.db'}"

    @property
    def sign_in(self) -> str:
        """`local:`, or the URL of a Supabase project."""
        return self.auth_url or self.supabase_url or "local:"

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Origins of CORS_ORIGINS."""
        return frozenset(origin.strip() for origin in self.cors_origins.split(",")) - {""}

    @property
    def store(self) -> str:
        """Address of the bucket: `file:…` or `gs://…`."""
        return self.store_url or f"file:{self.lookalike_home / 'bucket'}"

    @property
    def weights(self) -> str:
        """Location of the full models' weights: a folder, or `gs://…`."""
        return self.models_dir or str(self.lookalike_home / "models")

    @property
    def embedder_folder(self) -> str:
        """Model folder of the embedder: a path or `gs://…`; empty if the embedder is that of MODELS."""
        return self.embedder.removeprefix("folder:") if self.embedder.startswith("folder:") else ""

    @property
    def detector_folder(self) -> str:
        """Model folder of the detector: a path or `gs://…`; empty if the detector is that of MODELS."""
        return self.detector.removeprefix("folder:")

    @property
    def full_embedder(self) -> str:
        """Which embedder of the full models is used: `resnet50`, `dinov2`, or empty if a folder replaces it."""
        return "" if self.embedder_folder else self.embedder or "resnet50"

    @property
    def other_weights(self) -> dict[str, str]:
        """SHA-256 by file name of weights that replace the published ones."""
        return dict(pair.split("=") for pair in self.models_sha256.split(",") if pair)

    @property
    def bucket(self) -> str:
        """Name of the bucket as storage events give it: Cloud Storage's, or the local directory's."""
        if self.store.startswith("gs://"):
            return self.store.removeprefix("gs://").partition("/")[0]
        return Path(self.store.removeprefix("file:")).name

    @property
    def prefix(self) -> str:
        """Prefix of all object names in that bucket: empty, or ending in a slash."""
        inside = self.store.removeprefix("gs://").partition("/")[2].strip("/") if self.store.startswith("gs://") else ""
        return f"{inside}/" if inside else ""

    @property
    def prices(self) -> Prices | None:
        """The price of this instance, or `None` if none is set."""
        second = (
            self.price_vcpu_second * self.instance_vcpus
            + self.price_gib_second * self.instance_gib
            + self.price_gpu_second
        )
        prices = Prices(second, self.price_million_requests / 1e6, self.price_currency)
        return prices if prices.second or prices.request else None

    def _database_url_from_parts(self) -> str:
        user, password = quote(self.db_user, safe=""), quote(self.db_password.get_secret_value(), safe="")
        return f"mysql+pymysql://{user}:{password}@{self.db_host}:{self.db_port}/{self.db_name}"

    def _find_local_defaults(self) -> list[str]:
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
    """Read and validate all settings.

    Raises `Misconfigured` with the name of every invalid or unknown setting, never with its value.
    """
    reject_misspelled_settings(environment)
    try:
        return Settings()
    except ValidationError as error:
        raise Misconfigured("; ".join(_error_messages(error))) from None


def setting_names() -> list[str]:
    """Return the names of all settings, in upper case."""
    return [name.upper() for name in Settings.model_fields]


def reject_misspelled_settings(environment: Mapping[str, str]) -> None:
    """Raise `Misconfigured` for an environment variable that is almost the name of a setting.

    An environment holds many foreign variables, so unknown names cannot be rejected in general.
    """
    for name in environment:
        # 0.88 accepts one wrong or missing letter in ten; short names would match by chance
        near = difflib.get_close_matches(name.upper(), setting_names(), 1, 0.88)
        if near and name.upper() not in setting_names() and len(name) > 5:
            raise Misconfigured(f"Unknown setting {name}: did you mean {near[0]}?")


def _error_messages(error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_input=False, include_url=False):
        name = "".join(str(part) for part in problem["loc"]).upper()
        if problem["type"] == "extra_forbidden":
            yield f"Unknown setting {name} in .env"
        else:
            message = problem["msg"].removeprefix("Value error, ")
            yield f"{name}: {message}" if name else message

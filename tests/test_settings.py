"""Invalid and unknown settings are rejected at start by name, never with their value."""

from pathlib import Path

import pytest

from lookalike.domain.errors import Misconfigured
from lookalike.settings import read_settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "seventy"),
        ("PORT", "70000"),
        ("CONCURRENCY", "0"),
        ("REQUEST_TIMEOUT", "5"),
        ("MODELS", "huge"),
        ("STORE_URL", "ftp://there"),
        ("INDEX_SIGNING_KEY", "short-secret"),
        ("INDEX_URL", "milvus:nowhere"),
        ("INDEX_URL", "milvus:ftp://there.db"),
        ("INDEX_URL", "milvus:http://root:short-secret@there:19530"),
        ("SEARCH_NEEDS_SIGN_IN", "perhaps"),
        ("LOG_LEVEL", "LOUD"),
        ("AUTH_URL", "nowhere"),
        ("PRICE_GPU_SECOND", "-1"),
        ("PRICE_GPU_SECOND", "nan"),
        ("PRICE_CURRENCY", "dollars"),
        ("PRICE_VCPU_SECOND", "0.1"),
        ("PRICE_GIB_SECOND", "0.1"),
        ("PICTURE_HOSTS", "shop.example,short-secret/8"),
        ("WEBHOOK_URL", "hooks.example"),
        ("WEBHOOK_URL", "https://me:short-secret@hooks.example/"),
        ("WEBHOOK_URL", "https://hooks.example/"),
        ("CDN_URL", "https://shop.example/pictures"),
        ("CDN_URL", "shop.example/pictures"),
        ("CDN_KEY", "lookalike:short-secret"),
        ("PUBLIC_URL", "https://shop.example/?short-secret"),
        ("WEBHOOK_SECRET", "short-secret"),
        ("WEBHOOK_SECRET", "whsec_short-secret"),
    ],
)
def test_invalid_setting_is_named_without_its_value(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as error:
        read_settings()
    assert name in error.value.message and "short-secret" not in error.value.message


def test_unknown_setting_in_env_file_is_rejected(home: Path) -> None:
    Path(".env").write_text("PORT=5002\nCOLUR=blue\n")
    with pytest.raises(Misconfigured, match="COLUR"):
        read_settings()


@pytest.mark.parametrize("name", ["STORE_ULR", "DATABASE_URI", "KEEP_ORIGINAL", "SEARCH_NEED_SIGN_IN"])
def test_misspelled_environment_variable_is_rejected(name: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        read_settings({name: "x"})


def test_foreign_environment_variables_are_ignored(home: Path) -> None:
    others = ["PATH", "HOME", "HOSTNAME", "PYTHONPATH", "DATABASE_NAME", "PORTS", "LOG", "SUPPORT", "DB_HOSTS_FILE"]
    assert read_settings(dict.fromkeys(others, "x")).port == 5001


def test_environment_overrides_env_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=5002\nCONCURRENCY=4\n")
    monkeypatch.setenv("PORT", "5003")
    settings = read_settings()
    assert (settings.port, settings.concurrency) == (5003, 4)


def test_database_url_is_built_from_the_original_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "db", "NAME": "closet", "USER": "me", "PASSWORD": "p@ss/word"}.items():
        monkeypatch.setenv(f"DB_{name}", value)
    assert read_settings().database == "mysql+pymysql://me:p%40ss%2Fword@db:3306/closet"


def test_cloud_sql_instance_requires_database_name_and_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_SQL_INSTANCE", "shop:europe-west1:closet")
    with pytest.raises(Misconfigured, match="CLOUD_SQL_INSTANCE needs"):
        read_settings()
    monkeypatch.setenv("DB_NAME", "closet")
    monkeypatch.setenv("DB_USER", "relay")
    assert read_settings().database.startswith("mysql+pymysql://relay:@")


def test_env_file_of_the_original_system_is_accepted(home: Path) -> None:
    Path(".env").write_text(
        "DB_HOST=db\nDB_PORT=3306\nDB_NAME=closet\nDB_USER=me\nDB_PASSWORD=secret\n"
        "SUPABASE_URL=https://shop.supabase.co\nSUPABASE_KEY=public\n"
    )
    settings = read_settings()
    assert settings.sign_in == "https://shop.supabase.co" and settings.database.endswith("@db:3306/closet")


def test_conflicting_auth_urls_are_rejected(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_URL", "local:")
    monkeypatch.setenv("SUPABASE_URL", "https://shop.supabase.co")
    with pytest.raises(Misconfigured, match="AUTH_URL and SUPABASE_URL"):
        read_settings()


def test_conflicting_databases_are_rejected(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "db")
    monkeypatch.setenv("DATABASE_URL", "mysql+pymysql://other/closet")
    with pytest.raises(Misconfigured, match="DATABASE_URL and DB_HOST"):
        read_settings()


REMOTE = {
    "K_SERVICE": "relay",
    "CLOUD_SQL_INSTANCE": "shop:europe-west1:closet",
    "DB_NAME": "closet",
    "DB_USER": "relay",
    "STORE_URL": "gs://shop-closet",
    "INDEX_SIGNING_KEY": "k" * 64,
    "AUTH_URL": "https://shop.supabase.co",
}


@pytest.mark.parametrize("variable", ["K_SERVICE", "CLOUD_RUN_JOB"])
def test_local_defaults_are_rejected_on_cloud_run(home: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "relay")
    with pytest.raises(Misconfigured) as error:
        read_settings()
    for name in ("DATABASE_URL", "STORE_URL", "INDEX_SIGNING_KEY", "AUTH_URL"):
        assert name in error.value.message


@pytest.mark.parametrize("index", ["store:", "milvus:https://in03-abc.api.gcp-us-west1.zillizcloud.com:443/shop"])
def test_remote_settings_are_accepted_on_cloud_run(home: Path, monkeypatch: pytest.MonkeyPatch, index: str) -> None:
    for name, value in {**REMOTE, "INDEX_URL": index}.items():
        monkeypatch.setenv(name, value)
    assert read_settings().k_service == "relay"


@pytest.mark.parametrize(
    ("name", "value"),
    [("INDEX_URL", "milvus:folder/vectors.db"), ("STORAGE_EMULATOR_HOST", "http://localhost:9000")],
)
def test_each_local_setting_is_rejected_on_cloud_run(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for key, content in {**REMOTE, name: value}.items():
        monkeypatch.setenv(key, content)
    with pytest.raises(Misconfigured, match=name):
        read_settings()


JOB_VARIABLES = {
    "CLOUD_RUN_JOB": "lookalike-ingest",
    "CLOUD_RUN_EXECUTION": "lookalike-ingest-abcde",
    "CLOUD_RUN_TASK_INDEX": "3",
    "CLOUD_RUN_TASK_ATTEMPT": "1",
    "CLOUD_RUN_TASK_COUNT": "4",
}
"""What Cloud Run sets in the container of a job."""


def test_variables_of_a_cloud_run_job_are_accepted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {**REMOTE, **JOB_VARIABLES}
    del job["K_SERVICE"]
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert (settings.cloud_run_task_index, settings.cloud_run_task_count) == (3, 4)


@pytest.mark.parametrize(("index", "count"), [("4", "4"), ("-1", "4"), ("1", ""), ("0", "0")])
def test_task_index_outside_of_the_count_is_rejected(
    home: Path, monkeypatch: pytest.MonkeyPatch, index: str, count: str
) -> None:
    monkeypatch.setenv("CLOUD_RUN_TASK_INDEX", index)
    monkeypatch.setenv("CLOUD_RUN_TASK_COUNT", count)
    with pytest.raises(Misconfigured, match=r"CLOUD_RUN_TASK_(INDEX|COUNT)"):
        read_settings()

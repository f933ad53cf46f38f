"""Least rights: what each function does with the bucket, compared with the roles of its account.

The requests below run through the functions with a bucket that records its calls. Each call needs a permission of Cloud
Storage: https://cloud.google.com/storage/docs/access-control/iam-permissions.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.deploy.foundation import BUILDER_ROLES
from infra.deploy.project import SERVICES
from lookalike.bootstrap import Services, services, storage
from lookalike.domain.model import User
from lookalike.domain.paths import THUMBNAIL_SUFFIX
from lookalike.http.handlers.events import FINALIZED
from lookalike.http.routes import ROUTES
from lookalike.http.widget import WIDGET_PATH
from tests.conftest import bearer_header, jpeg
from tests.functions.harness import OTHER_PHOTO, PHOTO, Client, encode_base64
from tests.infra.deployment import FUNCTIONS, terraform
from tests.infra.hcl import all_strings
from tests.sample_photos import sample_photo

READ, LIST = "storage.objects.get", "storage.objects.list"
CREATE, DELETE = "storage.objects.create", "storage.objects.delete"
SIGN = "iam.serviceAccounts.signBlob"
ROLES = {
    "roles/storage.objectViewer": {READ, LIST},
    "roles/storage.objectUser": {READ, LIST, CREATE, DELETE},
    "roles/iam.serviceAccountTokenCreator": {SIGN},
}
"""The permissions that matter here, by role: https://cloud.google.com/iam/docs/understanding-roles."""
PROJECT_ROLES = {
    "roles/cloudsql.client": "connects to the instance through the connector",
    "roles/cloudsql.instanceUser": "signs in to the database as its service account",
    "roles/telemetry.tracesWriter": "sends traces",
}
"""Roles of every function in the project, with the reason."""
BUILDER = {
    "billing": ("billingbudgets", None),
    "cloud_run": ("run", "run.admin"),
    "cloud_scheduler": ("cloudscheduler", "cloudscheduler.admin"),
    "compute": ("compute", "compute.loadBalancerAdmin"),
    "compute_security_policy": ("compute", "compute.securityAdmin"),
    "eventarc": ("eventarc", "eventarc.admin"),
    "logging": ("logging", "logging.configWriter"),
    "monitoring": ("monitoring", "monitoring.editor"),
    "project_iam": ("cloudresourcemanager", "resourcemanager.projectIamAdmin"),
    "pubsub": ("pubsub", "pubsub.admin"),
    "secret_manager": ("secretmanager", "secretmanager.admin"),
    "service_account": ("iam", "iam.serviceAccountAdmin"),
    "sql": ("sqladmin", "cloudsql.admin"),
    "storage": ("storage", "storage.admin"),
}
"""API and role that the account which deploys needs, by kind of resource. A budget needs a role in the billing account."""
SURPLUS = {name: {CREATE, LIST} for name in ("auth", "detail")}
"""Permissions that are not needed. No predefined role permits reading and deleting without them."""
OTHER_ACCOUNTS = {
    "migrate": {"roles/cloudsql.client", "roles/cloudsql.instanceUser"},
    "release_key": {
        "roles/cloudsql.client",
        "roles/cloudsql.instanceUser",
        "roles/secretmanager.secretAccessor",
        "roles/secretmanager.secretVersionAdder",
    },
    "trigger": {"roles/eventarc.eventReceiver", "roles/run.invoker"},
    "scheduler": {"roles/run.invoker"},
}
"""Roles of the accounts that are not of functions: a migration, the key of releases, delivery of events, the schedule."""


@dataclass
class RecordingStore:
    """An object store that notes the permission of each call under the function that runs."""

    store: Any
    needed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    function: str = ""

    def __getattr__(self, name: str) -> Any:
        self.needed[self.function] |= METHODS[name]
        return getattr(self.store, name)

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> Any:
        """Overwriting an object deletes what it was."""
        self.needed[self.function] |= {CREATE, READ, DELETE} if if_generation else {CREATE, READ}
        return self.store.put(path, data, content_type, if_generation)


METHODS = {
    "is_remote": set(),
    "get": {READ},
    "read": {READ},
    "stat": {READ},
    "list": {LIST},
    "delete": {DELETE},
    "url": {READ, SIGN},
    # a write without a response is repeated, and what is there is compared then
    "write": {CREATE, READ},
    "put_temporary": {CREATE, READ},
}
"""The permissions of each method of the store but `put`."""


@pytest.fixture
def recorder(home: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingStore]:
    """The recording store behind all functions of this process."""
    opened, original = list[RecordingStore](), storage.open_store

    def open_recording(*arguments: Any) -> RecordingStore:
        opened[:] = opened or [RecordingStore(original(*arguments))]
        return opened[0]

    monkeypatch.setattr(storage, "open_store", open_recording)
    services.cache_clear()
    store: Any = services().store
    yield store
    services.cache_clear()


@dataclass
class Caller:
    """Sends requests as an administrator and notes the routes that succeeded."""

    client: Client
    recorder: RecordingStore
    headers: dict[str, str]
    routes: set[tuple[str, str, str]] = field(default_factory=set)

    def send(self, function: str, method: str, path: str, **options: Any) -> Any:
        """Send a request to a function."""
        self.recorder.function = function
        options.setdefault("headers", self.headers)
        response = self.client(function).open(path, method=method, **options)
        assert response.status_code < 300, (function, method, path, response.get_data(as_text=True))
        self.routes.add((function, method, str(response.request.path)))
        return response

    def json(self, function: str, method: str, path: str, **body: Any) -> Any:
        """Send a request with a JSON body to a function."""
        return self.send(function, method, path, json=body)


def use_everything(caller: Caller, real: Services) -> None:
    """Send requests to every route that reads or writes the bucket."""
    upload(caller)
    caller.json("reindex", "POST", "/reindex", force=True)
    search(caller)
    versions = caller.send("relay", "GET", "/index_versions").json["data"]["versions"]
    caller.json("reindex", "POST", "/reindex", force=True)
    rollback = next(route.function for route in ROUTES if route.path == "/index_versions/rollback")
    caller.json(rollback, "POST", "/index_versions/rollback", version=versions[0]["version"])
    caller.send("upload", "POST", "/index_versions/rebuild")
    caller.json("reindex", "POST", "/reindex")
    change_details(caller)
    ingest(caller, real)
    use_account(caller, real)
    caller.send("cancel", "GET", "/request_status/recent")


def upload(caller: Caller) -> None:
    photo, other = encode_base64(PHOTO), encode_base64(OTHER_PHOTO)
    small = encode_base64(jpeg(sample_photo(8).resize((225, 300))))
    for name, data in {"one": photo, "two": other, "copy": small}.items():
        caller.json("upload", "POST", "/upload_image", image_base64=data, image_name=name)
    caller.json("upload", "POST", "/upload_single_image", image_base64=other, original_image_id="three", segment_id=0)
    caller.json("upload", "POST", "/splitted_images", original_image_id="one", image_base64=other)
    caller.json("upload", "POST", "/recut/one_segment_0", bounding_box=[0, 0, 80, 80])
    caller.json("upload", "POST", "/split_image", image_base64=photo)
    caller.send("upload", "POST", "/ingestions/retry")


def search(caller: Caller) -> None:
    for include in ("image", "url", "none"):
        photo = encode_base64(PHOTO)
        caller.json("relay", "POST", "/relay_image", image_base64=photo, include=include, segment=True)
        caller.json("relay", "POST", "/search", query=[{"id": "one_segment_0"}], include=include)
    for path in ("/duplicates", "/models", WIDGET_PATH, "/readyz"):
        caller.send("relay", "GET", path)


def change_details(caller: Caller) -> None:
    for path in (
        "/thumbnails/one_segment_0",
        "/originals/one",
        "/splitted_images/one_segment_0",
        "/garments",
        "/products",
    ):
        caller.send("detail", "GET", path)
    caller.send("detail", "GET", "/garments?include=url")
    caller.send("detail", "GET", "/splitted_images/by_original/one")
    caller.json("detail", "PUT", "/splitted_images/one_segment_0", label="dress")
    caller.json("detail", "PUT", "/image_detail/two", brand="Marlow")
    pair = ["two_segment_0", "copy_segment_0"]
    caller.json("detail", "PUT", "/duplicates/decisions", garments=pair, decision="accepted")
    caller.json("detail", "POST", "/duplicates/merge", garments=pair)
    caller.send("detail", "DELETE", "/splitted_images/one_segment_0")
    caller.json("detail", "POST", "/erase", filter={"brand": "Marlow"})


def use_account(caller: Caller, real: Services) -> None:
    """Register a user who has a photo, export it and erase everything."""
    account = {"email": "bert@example.org", "password": "correct horse battery"}
    caller.json("auth", "POST", "/api/auth/register", **account)
    session = caller.json("auth", "POST", "/api/auth/login", **account).json["data"]
    owner = bearer_header(real, User(session["user_id"], account["email"], "admin"))
    body = {"image_base64": encode_base64(PHOTO), "image_name": "own"}
    caller.send("upload", "POST", "/upload_image", json=body, headers=owner)
    own = {"Authorization": f"Bearer {session['access_token']}"}
    caller.send("auth", "GET", "/me/export?links=true", headers=own)
    caller.send("auth", "DELETE", "/me", json={"password": account["password"]}, headers=own)


def ingest(caller: Caller, real: Services) -> None:
    stored = real.store.store.put("incoming/new.jpg", jpeg(sample_photo(5)), "image/jpeg")  # type: ignore[attr-defined]
    attributes = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "//storage", "ce-type": FINALIZED}
    data = {"bucket": "shop", "name": stored.path, "generation": str(stored.generation)}
    caller.send("ingest", "POST", "/", json=data, headers={**caller.headers, **attributes})


def granted(function: str) -> set[str]:
    """Return the permissions of a function's account on the bucket and on itself."""
    role = terraform().functions[function]["bucket_role"]
    roles = [role] if role else []
    if function in terraform().locals["linking"]:
        roles.append(terraform().resources["google_service_account_iam_member.signs"]["role"])
    return set().union(*(ROLES[role] for role in roles))


def test_functions_may_do_what_they_do_and_hardly_more(recorder: RecordingStore, client: Client) -> None:
    """If permissions are missing, the deployed function would fail with 503."""
    real = services()
    use_everything(Caller(client, recorder, bearer_header(real, User("anna", "a@example.org", "admin"))), real)
    needed = {function: recorder.needed[function] for function in FUNCTIONS}
    missing = {name: needed[name] - granted(name) for name in FUNCTIONS}
    assert not any(missing.values()), missing
    surplus = {name: granted(name) - needed[name] for name in FUNCTIONS}
    assert {name: names for name, names in surplus.items() if names} == SURPLUS


def test_cloud_cdn_may_read_thumbnails_only() -> None:
    """Its account reads for requests with a valid signature. The account of the load balancer, which reads for all others,
    has no access to the photos."""
    members = terraform().resources_of_type("google_storage_bucket_iam_member")
    readers = [one for one in members.values() if "gserviceaccount.com" in one["member"] and "closet" in one["bucket"]]
    assert readers == [members["thumbnails"]] and "@cloud-cdn-fill." in members["thumbnails"]["member"]
    (condition,) = members["thumbnails"]["condition"]
    assert condition["expression"].endswith(f"resource.name.endsWith('{THUMBNAIL_SUFFIX}')")
    assert "@https-lb." in members["page"]["member"] and "bucket.page" in members["page"]["bucket"]


def test_roles_in_the_project_have_a_reason() -> None:
    members = terraform().resources_of_type("google_project_iam_member")
    roles = {name: one["role"] for name, one in members.items() if "google_service_account.function" in str(one)}
    assert roles.pop("database") == "roles/cloudsql.${each.value.role}"
    assert set(roles.values()) == {"roles/telemetry.tracesWriter"}
    assert set(PROJECT_ROLES) == {"roles/cloudsql.client", "roles/cloudsql.instanceUser", *roles.values()}


@pytest.mark.parametrize("account", OTHER_ACCOUNTS)
def test_other_accounts_have_only_their_roles(account: str) -> None:
    member = f"${{google_service_account.{account}.member}}"
    granted = {one["role"] for one in terraform().resources.values() if one.get("member") == member}
    expanded = {role.replace("${each.key}", kind) for role in granted for kind in ("client", "instanceUser")}
    assert expanded == OTHER_ACCOUNTS[account]


def test_every_account_is_in_a_table() -> None:
    assert set(terraform().resources_of_type("google_service_account")) == {"function", *OTHER_ACCOUNTS}


def test_secrets_are_given_to_the_functions_that_use_them() -> None:
    """The key of Supabase is sent with registrations and sign-ins only. Functions that link to images also have the key of the CDN."""
    assert "contains(local.linking, name) ? local.cdn_secrets" in terraform().locals["function_secrets"]
    assert terraform().locals["extra_secrets"] == {"auth": {"SUPABASE_KEY": "lookalike-supabase-key"}}
    routes = {route.function for route in ROUTES if route.path.startswith("/api/auth/")}
    assert routes == set(terraform().locals["extra_secrets"])
    texts = [text for name, body in terraform().resources.items() for text in all_strings(body) if "secret" in name]
    assert "roles/secretmanager.secretAccessor" in texts and not [
        text for text in texts if "secretmanager.admin" in text
    ]


def test_account_that_deploys_may_create_every_kind_of_resource() -> None:
    kinds = {
        name.partition(".")[0].removeprefix("google_") for name in terraform().resources if name.startswith("google_")
    }
    for kind in kinds:
        prefixes = [prefix for prefix in BUILDER if kind.startswith(prefix)]
        assert prefixes, f"add the API and the role of google_{kind} to BUILDER and to infra/deploy"
        api, role = BUILDER[max(prefixes, key=len)]
        assert api in SERVICES and (role is None or role in BUILDER_ROLES)
    assert not {"owner", "editor"} & set(BUILDER_ROLES)

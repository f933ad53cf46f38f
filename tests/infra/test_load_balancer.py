"""Tests of the load balancer: each path goes to the function or bucket that serves it."""

import re
from typing import Any

from infra.release.rollout import CANDIDATE, PRIVATE, PUBLIC
from lookalike.http.docs import serve_docs
from lookalike.http.request_timing import HEALTH_CHECKS
from lookalike.http.routes import DOCS_PATHS, ROUTES
from lookalike.http.widget import WIDGET_PATH
from lookalike.local import static_files
from tests.infra.deployment import ROOT, terraform
from tests.infra.plans import REQUIRED, VARIANTS

PARAMETER = re.compile(r"<[^>]*>")


def backend(path: str) -> str:
    """Return the function that the URL map sends a path to, `widget`, or `page`.

    An exact pattern has precedence, then the longest one that ends with a star.
    """
    patterns = {pattern: name for name, patterns in terraform().locals["paths"].items() for pattern in patterns}
    patterns |= {f"{pattern}/": name for pattern, name in patterns.items() if not pattern.endswith("*")}
    patterns |= {"/widget/*": "widget", "/pictures/*": "thumbnails"}
    stars = [pattern for pattern in patterns if pattern.endswith("*") and path.startswith(pattern[:-1])]
    return patterns.get(path) or (patterns[max(stars, key=len)] if stars else "page")


def test_each_route_is_sent_to_its_function() -> None:
    """If it fails, add the path to `local.paths` in infra/terraform/load_balancer.tf."""
    wrong = {}
    for route in ROUTES:
        # private functions are called by the platform only
        expected = route.function if terraform().functions[route.function]["public"] else "page"
        for ending in ("", "/") if route.path != "/" else ("",):
            path = PARAMETER.sub("a-b.c", route.path) + ending
            if backend(path) != expected:
                wrong[f"{route.method} {path}"] = f"{backend(path)} instead of {expected}"
    assert not wrong


def test_patterns_have_a_star_only_as_their_last_part() -> None:
    patterns = [pattern for patterns in terraform().locals["paths"].values() for pattern in patterns]
    assert all(re.fullmatch(r"(/[\w.-]+)+(/\*)?", pattern) for pattern in patterns)
    assert len(set(patterns)) == len(patterns)
    expression = terraform().locals["patterns"]
    assert 'endswith(path, "*") ? [path] : [path, "${path}/"]' in expression


def test_paths_that_every_function_serves_go_to_relay() -> None:
    assert {backend(path) for path in (*HEALTH_CHECKS, *DOCS_PATHS)} == {"relay"}
    assert all(serve_docs(path, "relay") for path in DOCS_PATHS)


def test_page_and_widget_come_from_the_bucket() -> None:
    assert {backend(path) for path in ("/", "/web/js/main.js", "/samples", "/samples/dress.jpg", "/x")} == {"page"}
    assert backend(WIDGET_PATH) == "widget"
    files = terraform().locals["page_files"]
    assert f'"{WIDGET_PATH[1:]}" = "${{local.web}}/lookalike-search.js"' in files
    assert '["index.html", "searches.html"]' in files


def test_bucket_has_the_files_of_the_local_server() -> None:
    served = set(static_files._files()) - {"/", "/admin", "/searches.html"}
    folders = {"web": static_files.WEB_FOLDER, "samples": ROOT / "shared/lookalike/sample_closet/queries"}
    patterns = re.findall(r'fileset\(local\.(\w+), "([^"]+)"\) : "(\w+)/\$', terraform().locals["page_files"])
    stored = set()
    for local, pattern, prefix in patterns:
        folder = folders[prefix]
        assert str(terraform().locals[local]).endswith(str(folder.relative_to(ROOT)))
        globs = (
            [pattern.replace("{css,js,json}", suffix) for suffix in ("css", "js", "json")]
            if "{" in pattern
            else [pattern]
        )
        stored |= {f"/{prefix}/{path.relative_to(folder).as_posix()}" for glob in globs for path in folder.glob(glob)}
    assert served == stored
    types = {f".{suffix}": kind for suffix, kind in terraform().locals["content_types"].items()}
    assert static_files.CONTENT_TYPES.items() <= types.items()


def test_bucket_has_the_page_for_administrators() -> None:
    stored = terraform().resources_of_type("google_storage_bucket_object")["admin"]
    path = static_files._files()[f"/{stored['name']}"].relative_to(static_files.WEB_FOLDER)
    assert stored["source"] == f"${{local.web}}/{path}" and backend("/admin") == "page"


def test_bucket_sends_the_headers_of_the_local_server() -> None:
    buckets = terraform().resources_of_type("google_compute_backend_bucket")
    headers = dict(header.split(": ", 1) for header in buckets["page"]["custom_response_headers"])
    assert headers == static_files.SECURITY_HEADERS
    assert "Access-Control-Allow-Origin: *" in buckets["widget"]["custom_response_headers"]


def test_pictures_are_thumbnails_of_the_bucket_of_photos() -> None:
    """The address that the functions sign, and the object that the load balancer makes of it."""
    local = terraform().locals
    assert 'CDN_URL = "https://${var.domain}${local.pictures}"' in local["cdn_environment"]
    assert backend(f"{local['pictures']}/look/segment_0.thumbnail.jpg") == "thumbnails"
    (matcher,) = [one for one in url_map()["path_matcher"] if one["name"] == "lookalike"]
    (rule,) = [rule for rule in matcher["path_rule"] if rule["paths"] == ["${local.pictures}/*"]]
    assert rule["route_action"][0]["url_rewrite"][0]["path_prefix_rewrite"] == "/"
    assert "backend_bucket.thumbnails" in rule["service"]
    bucket = terraform().resources["google_compute_backend_bucket.thumbnails"]
    assert bucket["bucket_name"] == "${google_storage_bucket.closet.name}"
    assert terraform().resources["google_storage_bucket.closet"]["public_access_prevention"] == "enforced"
    assert bucket["cdn_policy"][0]["signed_url_cache_max_age_sec"] <= 3600


def url_map() -> Any:
    return terraform().resources["google_compute_url_map.lookalike"]


def test_only_buckets_are_cached() -> None:
    assert terraform().resources["google_compute_backend_service.function"]["enable_cdn"] is False
    assert all(
        one["enable_cdn"] is True for one in terraform().resources_of_type("google_compute_backend_bucket").values()
    )


def rules() -> list[Any]:
    policy = terraform().resources["google_compute_security_policy.lookalike"]
    return [*policy["rule"], *(block["rule"]["content"][0] for block in policy["dynamic"])]


def test_cloud_armor_limits_requests_and_previews_preconfigured_rules() -> None:
    (limit,) = [rule for rule in rules() if rule["action"] == "throttle"]
    options = limit["rate_limit_options"][0]
    assert (options["enforce_on_key"], options["exceed_action"]) == ("IP", "deny(429)")
    (preview,) = [rule for rule in rules() if rule.get("preview")]
    assert "evaluatePreconfiguredWaf" in preview["match"][0]["expr"][0]["expression"]
    (default,) = [rule for rule in rules() if rule["priority"] == 2147483647]
    assert default["action"] == "allow"


def test_http_is_redirected_and_old_tls_is_refused() -> None:
    redirect = terraform().resources["google_compute_url_map.redirect"]["default_url_redirect"][0]
    assert redirect["https_redirect"] is True and redirect["strip_query"] is False
    assert terraform().resources["google_compute_target_http_proxy.redirect"]["url_map"].endswith("redirect[0].id}")
    assert terraform().resources["google_compute_ssl_policy.lookalike"]["min_tls_version"] == "TLS_1_2"


def test_all_variables_of_the_plans_exist() -> None:
    declared = {name for block in terraform().blocks["variable"] for name in block}
    assert declared >= REQUIRED.keys()
    assert declared >= {name for variables in VARIANTS.values() for name in variables}


def test_new_revisions_are_reached_by_the_host_and_the_tag_that_a_release_uses() -> None:
    group = terraform().resources["google_compute_region_network_endpoint_group.function"]
    assert group["cloud_run"][0]["tag"] == "${each.value.tag}" and group["for_each"] == "${local.backends}"
    assert f'"{CANDIDATE}-${{name}}" => {{function = name, tag = "{CANDIDATE}"}}' in terraform().locals["backends"]
    hosts = {rule["path_matcher"]: rule["hosts"] for rule in url_map()["host_rule"]}
    assert hosts["candidate"] == [f"{CANDIDATE}.${{var.domain}}"] and hosts["lookalike"] == ["*"]
    rules = {matcher["name"]: matcher["dynamic"] for matcher in url_map()["path_matcher"]}
    assert f'backend_service.function["{CANDIDATE}-' in str(rules["candidate"]) and "local.patterns" in str(
        rules["candidate"]
    )
    public = {name for name, function in terraform().functions.items() if function["public"]}
    assert public == {*PUBLIC} and {*terraform().functions} - public == {*PRIVATE}


def test_a_release_moves_the_traffic_and_terraform_leaves_it() -> None:
    service = terraform().resources["google_cloud_run_v2_service.function"]
    assert service["lifecycle"][0]["ignore_changes"] == ["traffic"] and "traffic" not in service

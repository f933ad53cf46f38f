"""All charges of a month, by resource."""

from collections.abc import Callable, Iterator

from infra.costs.deployment import DEFAULT_SIZE
from infra.costs.month import BYTE, KIB, Charge, Month
from infra.costs.workload import DAYS, HOURS

Charges = Iterator[Charge]
SAMPLE_BYTES = {True: 80, False: 8}
"""Bytes of a sample of a metric, by whether it is a histogram."""
EVENT_KIB = 2
"""An event is published and delivered once, each at least 1 KiB."""


def all_charges(month: Month) -> list[Charge]:
    """Return the charges of a month. There are several for a row."""
    return [charge for part in PARTS for charge in part(month)]


def _functions(month: Month) -> Charges:
    for name, size in month.deployment.services.items():
        row = f"Cloud Run: {name}"
        seconds = month.times[name].seconds + _bulk_seconds(month, name)
        if size.is_billed_while_idle:
            yield Charge(row, "run_always_cpu", seconds * size.vcpus)
            yield Charge(row, "run_always_memory", seconds * size.gib)
            yield Charge(row, "run_l4", seconds * size.gpus)
            continue
        seconds += month.system["starts"] * DAYS * month.other("instances")["start_seconds"]
        yield Charge(row, "run_cpu", seconds * size.vcpus)
        yield Charge(row, "run_memory", seconds * size.gib)
        job_events = month.job_objects if name == "ingest" else 0
        yield Charge(row, "run_requests", month.loads[name].requests + job_events)


def _bulk_seconds(month: Month, function: str) -> float:
    """Return the time in which reindex builds versions of the index, and ingest receives the events of a job."""
    if function == "reindex":
        storage = month.other("storage")
        rows = month.system["garments"] * month.models["numbers"] / 2048
        return float(month.builds * (storage["build_seconds"] + rows * storage["build_row_seconds"]))
    if function == "ingest":
        size, load = month.deployment.services[function], month.assumptions.requests["event"]
        return float(month.job_objects * load["cpu_seconds"] / size.vcpus / month.other("instances")["utilization"])
    return 0


def _jobs(month: Month) -> Charges:
    row, size = "Cloud Run: jobs", month.deployment.services["ingest"]
    request = month.assumptions.requests["upload"]
    seconds = month.system["bulk_photos"] * (request["seconds"] + month.models["photo_seconds"])
    migration = month.system["releases"] * month.other("releases")["migration_seconds"]
    vcpus, gib = DEFAULT_SIZE
    yield Charge(row, "run_always_cpu", seconds * size.vcpus + migration * vcpus)
    yield Charge(row, "run_always_memory", seconds * size.gib + migration * gib)
    yield Charge(row, "run_l4", seconds * size.gpus)


def _database(month: Month) -> Charges:
    vcpus, gib, instances = month.deployment.database
    yield Charge("Cloud SQL: instance", "sql_cpu", vcpus * instances * HOURS)
    yield Charge("Cloud SQL: instance", "sql_memory", gib * instances * HOURS)
    yield Charge("Cloud SQL: storage and backups", "sql_storage", month.database_gib * instances)
    backups = month.database_gib * month.other("database")["backup_share"]
    yield Charge("Cloud SQL: storage and backups", "sql_backup", backups if month.deployment.backups else 0)


def _storage(month: Month) -> Charges:
    storage = month.other("storage")
    missed = 1 - (month.other("traffic")["cached"] if month.has_balancer else 0)
    yield Charge("Cloud Storage: objects", "storage", month.stored_gib + month.models["weights_gib"])
    yield Charge("Cloud Storage: operations", "storage_writes", month.objects)
    reads = month.requests * storage["reads"] + (month.thumbnails + month.page_requests) * missed
    yield Charge("Cloud Storage: operations", "storage_reads", reads)
    if not month.has_balancer:
        yield Charge("Cloud Storage: thumbnails sent", "storage_transfer", month.thumbnail_gib)


def _network(month: Month) -> Charges:
    yield Charge("Traffic of the functions", "transfer", month.response_gib)
    if not month.has_balancer:
        return
    rules = month.deployment.number_of("google_compute_global_forwarding_rule")
    missed = (month.thumbnail_gib + month.page_gib) * (1 - month.other("traffic")["cached"])
    yield Charge("Load balancer: rules", "balancer_rules", HOURS)
    yield Charge("Load balancer: rules", "balancer_more_rules", HOURS * max(0, rules - 5))
    yield Charge("Load balancer: data", "balancer_data", month.request_gib + month.response_gib + missed)
    yield Charge("Cloud CDN", "cdn_transfer", month.thumbnail_gib + month.page_gib)
    yield Charge("Cloud CDN", "cdn_fill", missed)
    yield Charge("Cloud CDN", "cdn_lookups", month.thumbnails + month.page_requests)
    yield Charge("Cloud Armor", "armor_policy", month.deployment.number_of("google_compute_security_policy"))
    yield Charge("Cloud Armor", "armor_rules", month.deployment.firewall_rules)
    yield Charge("Cloud Armor", "armor_requests", month.public_requests)


def _observability(month: Month) -> Charges:
    figures, requests = month.other("observability"), month.requests
    logged = requests * (figures["line_bytes"] + figures["request_line_bytes"])
    if month.has_balancer:
        balanced = month.public_requests + month.thumbnails + month.page_requests
        logged += balanced * figures["balancer_line_bytes"]
    yield Charge("Logs", "log_lines", logged * BYTE)
    series = {True: month.system["labelled_series"], False: month.system["other_series"]}
    metrics = month.deployment.metric_labels
    samples = sum(SAMPLE_BYTES[is_histogram] * series[has_labels] for is_histogram, has_labels in metrics)
    yield Charge("Metrics from logs", "metrics", samples * HOURS * 60 / 1024**2)
    yield Charge("Uptime check", "uptime_checks", month.checks)
    conditions = month.deployment.number_of("google_monitoring_alert_policy")
    yield Charge("Alerts", "alert_conditions", conditions)
    yield Charge("Alerts", "alert_series", conditions * figures["series_of_condition"] * HOURS * 120)
    if month.deployment.variable("traces"):
        searches = month.loads["relay"].requests
        spans = searches * figures["search_spans"] + (requests - searches) * figures["other_spans"]
        yield Charge("Traces", "spans", spans)


def _others(month: Month) -> Charges:
    deployment, releases = month.deployment, month.other("releases")
    yield Charge("Events", "pubsub", month.objects * EVENT_KIB * KIB)
    yield Charge("Schedule", "scheduler", deployment.number_of("google_cloud_scheduler_job"))
    # beside Terraform's, the deployment asks for those of Supabase: one for auth, and with HS256 one for all functions
    of_auth = len(deployment.local("extra_secrets")["auth"])
    of_all = len(deployment.local("hs256_secrets")) if deployment.variable("supabase_signs_hs256") else 0
    secrets = deployment.number_of("google_secret_manager_secret") + of_auth + of_all
    read = len(deployment.services) * (len(deployment.local("own_secrets")) + of_all) + of_auth
    read += len(deployment.local("linking")) if month.has_balancer else 0
    yield Charge("Secrets", "secrets", secrets)
    yield Charge("Secrets", "secret_reads", month.system["starts"] * DAYS * read)
    images = releases["images_kept"] * month.models["image_gib"]
    yield Charge("Images", "images", images)
    yield Charge("Builds", "builds", month.system["releases"] * releases["build_minutes"])


PARTS: tuple[Callable[[Month], Charges], ...] = (
    _functions, _jobs, _database, _storage, _network, _observability, _others,
)  # fmt: skip

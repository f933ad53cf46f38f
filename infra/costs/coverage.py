"""Which types of Terraform resources are billed, in which rows, and why the others are not."""

from collections.abc import Mapping

BILLED: Mapping[str, str] = {
    "google_cloud_run_v2_service": "Cloud Run",
    "google_cloud_run_v2_job": "Cloud Run: jobs",
    "google_sql_database_instance": "Cloud SQL",
    "google_storage_bucket": "Cloud Storage",
    "google_storage_bucket_object": "Cloud Storage",
    "google_secret_manager_secret": "Secrets",
    "google_secret_manager_secret_version": "Secrets",
    "google_eventarc_trigger": "Events",
    "google_pubsub_topic": "Events",
    "google_pubsub_subscription": "Events",
    "google_cloud_scheduler_job": "Schedule",
    "google_compute_global_forwarding_rule": "Load balancer",
    "google_compute_backend_service": "Load balancer",
    "google_compute_backend_bucket": "Cloud CDN",
    "google_compute_security_policy": "Cloud Armor",
    "google_logging_metric": "Metrics from logs",
    "google_monitoring_uptime_check_config": "Uptime check",
    "google_monitoring_alert_policy": "Alerts",
}
"""Type = start of the names of its rows."""

PERMISSION = "a permission"
PART_OF_BALANCER = "a part of the load balancer; its rules and data are billed"
UNBILLED: Mapping[str, str] = {
    "google_service_account": "an account",
    "google_project_iam_member": PERMISSION,
    "google_cloud_run_v2_service_iam_member": PERMISSION,
    "google_pubsub_subscription_iam_member": PERMISSION,
    "google_pubsub_topic_iam_member": PERMISSION,
    "google_secret_manager_secret_iam_member": PERMISSION,
    "google_service_account_iam_member": PERMISSION,
    "google_storage_bucket_iam_member": PERMISSION,
    "google_sql_database": "a part of the database instance",
    "google_sql_user": "a part of the database instance",
    "google_compute_global_address": "an address that is in use is free",
    "google_compute_managed_ssl_certificate": "Google's certificates are free",
    "google_compute_ssl_policy": PART_OF_BALANCER,
    "google_compute_region_network_endpoint_group": PART_OF_BALANCER,
    "google_compute_url_map": PART_OF_BALANCER,
    "google_compute_target_http_proxy": PART_OF_BALANCER,
    "google_compute_target_https_proxy": PART_OF_BALANCER,
    "google_compute_backend_bucket_signed_url_key": PART_OF_BALANCER,
    "google_monitoring_custom_service": "free",
    "google_monitoring_slo": "free",
    "google_monitoring_dashboard": "free",
    "google_monitoring_notification_channel": "e-mail is free",
    "google_billing_budget": "free",
    "random_bytes": "exists in Terraform's state only",
    "terraform_data": "exists in Terraform's state only",
}
"""Type = why it costs nothing."""

OUTSIDE = {
    "Traffic of the functions": "responses to the internet",
    "Logs": "written by the functions, Cloud Run and the load balancer",
    "Traces": "sent by the functions",
    "Images": "the repository that the deployment creates",
    "Builds": "Cloud Build",
}
"""Rows that belong to no resource of Terraform = what they are."""

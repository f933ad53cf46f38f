# Metrics from logs, a service level objective, an uptime check that searches, and traces. The dashboard is in dashboard.tf, the
# alerts are in alerts.tf. All fields of the filters are fields that the functions log: a test compares them.

variable "availability_goal" {
  description = "Share of the requests to the public functions, in 28 days, that must not fail with a status from 500 on"
  type        = number
  default     = 0.995
}

variable "prices" {
  description = "What the provider charges, by setting: PRICE_VCPU_SECOND, PRICE_GIB_SECOND, PRICE_GPU_SECOND, … Empty: no estimates"
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.prices) : startswith(name, "PRICE_")])
    error_message = "Names of prices are settings that start with PRICE_: see docs/operations.md."
  }
}

variable "traces" {
  description = "Whether the functions send traces to Cloud Trace"
  type        = bool
  default     = true
}

variable "uptime_seconds" {
  description = "Seconds between two searches of the uptime check, from each of three continents: 60, 300, 600 or 900; 0: no check"
  type        = number
  default     = 300
}

locals {
  public_functions = [for name, function in local.functions : name if function.public]

  # Settings of the functions that only serve to measure.
  measurement = merge(var.prices, var.traces ? {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = "https://telemetry.googleapis.com/v1/traces"
    OTEL_RESOURCE_ATTRIBUTES           = "gcp.project_id=${var.project}"
  } : {})

  request_lines = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name=~"^lookalike-"
    jsonPayload.logger="lookalike.requests"
    jsonPayload.message="Request"
  EOT
  # reindex writes one with each call of the schedule, every ten minutes.
  index_lines = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name="lookalike-reindex"
    jsonPayload.logger="lookalike.index"
    jsonPayload.message="Index state"
  EOT

  # Seconds. Dense where requests usually are.
  second_bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 20, 40, 60, 120, 300]

  # Name = filter, value (a field), unit, labels (fields), and bounds of the histogram. Without a value, lines are counted.
  log_metrics = {
    request_seconds = {
      filter = local.request_lines
      value  = "seconds"
      unit   = "s"
      labels = { route = "route", status = "status" }
      bounds = local.second_bounds
    }
    errors = {
      filter = "${local.request_lines}jsonPayload.status>=400"
      value  = null
      unit   = "1"
      labels = { error = "error", status = "status" }
      bounds = []
    }
    start_seconds = {
      filter = "${local.request_lines}jsonPayload.cold=true"
      value  = "start_seconds"
      unit   = "s"
      labels = {}
      bounds = local.second_bounds
    }
    queue_seconds = {
      filter = "${local.request_lines}jsonPayload.stages.queue>=0"
      value  = "stages.queue"
      unit   = "s"
      labels = {}
      bounds = local.second_bounds
    }
    detect_seconds = {
      filter = "${local.request_lines}jsonPayload.stages.detect>=0"
      value  = "stages.detect"
      unit   = "s"
      labels = {}
      bounds = local.second_bounds
    }
    embed_seconds = {
      filter = "${local.request_lines}jsonPayload.stages.embed>=0"
      value  = "stages.embed"
      unit   = "s"
      labels = {}
      bounds = local.second_bounds
    }
    cost = {
      filter = "${local.request_lines}jsonPayload.cost>=0"
      value  = "cost"
      unit   = "1"
      labels = { currency = "currency" }
      bounds = [0.000001, 0.00001, 0.0001, 0.001, 0.01, 0.1, 1]
    }
    index_age_seconds = {
      filter = local.index_lines
      value  = "age_seconds"
      unit   = "s"
      labels = { index_version = "index_version" }
      bounds = [600, 1800, 3600, 21600, 86400, 604800, 2592000, 31536000]
    }
    index_rows = {
      filter = local.index_lines
      value  = "rows"
      unit   = "1"
      labels = {}
      bounds = [1, 10, 100, 1000, 10000, 100000, 1000000, 10000000]
    }
    index_recall = {
      filter = local.index_lines
      value  = "recall"
      unit   = "1"
      labels = {}
      bounds = [0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999]
    }
    index_builds_behind = {
      filter = local.index_lines
      value  = "builds_behind"
      unit   = "1"
      labels = {}
      bounds = [0.25, 0.5, 1, 2, 3, 5, 10, 100]
    }
  }
}

resource "google_logging_metric" "lookalike" {
  for_each        = local.log_metrics
  name            = "lookalike/${each.key}"
  filter          = each.value.filter
  value_extractor = each.value.value == null ? null : "EXTRACT(jsonPayload.${each.value.value})"
  label_extractors = {
    for label, field in each.value.labels : label => "EXTRACT(jsonPayload.${field})"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = each.value.value == null ? "INT64" : "DISTRIBUTION"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = each.value.value == null ? [] : [each.value.bounds]
    content {
      explicit_buckets {
        bounds = bucket_options.value
      }
    }
  }
}

resource "google_monitoring_custom_service" "lookalike" {
  service_id   = "lookalike"
  display_name = "lookalike"
}

resource "google_monitoring_slo" "availability" {
  service             = google_monitoring_custom_service.lookalike.service_id
  slo_id              = "availability"
  display_name        = "Requests to the public functions that do not fail"
  goal                = var.availability_goal
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      total_service_filter = local.public_requests
      bad_service_filter   = "${local.public_requests} AND metric.labels.response_code_class=\"5xx\""
    }
  }
}

locals {
  public_requests = join(" AND ", [
    "metric.type=\"run.googleapis.com/request_count\"",
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=monitoring.regex.full_match(\"lookalike-(${join("|", local.public_functions)})\")",
  ])
}

# A search with a photo: it needs the models, the index, the database and the bucket.
resource "google_monitoring_uptime_check_config" "search" {
  count            = var.uptime_seconds > 0 ? 1 : 0
  display_name     = "lookalike: search"
  period           = "${var.uptime_seconds}s"
  timeout          = "30s"
  selected_regions = ["EUROPE", "USA", "ASIA_PACIFIC"]

  http_check {
    path                = "/relay_image"
    port                = 443
    use_ssl             = true
    validate_ssl        = true
    request_method      = "POST"
    content_type        = "USER_PROVIDED"
    custom_content_type = "application/json"
    body                = base64encode(jsonencode({ image_base64 = filebase64("${local.photos}/outfit.jpg"), segment = true, include = "url", num = 1 }))

    accepted_response_status_codes {
      status_class = "STATUS_CLASS_2XX"
    }
  }

  content_matchers {
    content = "true"
    matcher = "MATCHES_JSON_PATH"
    json_path_matcher {
      json_path    = "$.success"
      json_matcher = "EXACT_MATCH"
    }
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project
      host       = var.domain == "" ? trimprefix(google_cloud_run_v2_service.function["relay"].uri, "https://") : var.domain
    }
  }
}

# Traces are sent to the Telemetry API, which Cloud Trace reads.
resource "google_project_iam_member" "traces" {
  for_each = var.traces ? local.functions : {}
  project  = var.project
  role     = "roles/telemetry.tracesWriter"
  member   = google_service_account.function[each.key].member
}

# Alerts, each with what to do, and the budget. They go to `alert_emails`; without addresses they are only shown in the console.

variable "alert_emails" {
  description = "Addresses that alerts are sent to"
  type        = set(string)
  default     = []
}

variable "billing_account" {
  description = "Billing account of the budget: 000000-000000-000000. Empty: no budget"
  type        = string
  default     = ""
}

variable "monthly_budget" {
  description = "Amount a month, in the currency of the billing account, of which the budget warns at 50 %, 90 % and 100 %"
  type        = number
  default     = 100
}

resource "google_monitoring_notification_channel" "email" {
  for_each     = var.alert_emails
  display_name = "lookalike: ${each.value}"
  type         = "email"
  labels       = { email_address = each.value }
}

locals {
  service_filter  = "resource.type=\"cloud_run_revision\""
  database_filter = "resource.type=\"cloudsql_database\" AND resource.labels.database_id=\"${var.project}:lookalike\""
  log_metric      = "metric.type=\"logging.googleapis.com/user/lookalike"
  # The subscription that delivers storage events to ingest.
  event_subscription = reverse(split("/", google_eventarc_trigger.ingest.transport[0].pubsub[0].subscription))[0]
  event_filter       = "resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${local.event_subscription}\""
  undelivered        = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\""
  dead_letter_count  = "${local.undelivered} AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead_letters.name}\""

  # threshold: null for an alert if there is no data. duration: seconds for which a condition must hold.
  alerts = {
    burn_fast = {
      title     = "Many requests fail"
      severity  = "CRITICAL"
      filter    = "select_slo_burn_rate(\"${google_monitoring_slo.availability.name}\", \"3600s\")"
      aligner   = "ALIGN_MEAN"
      reducer   = null
      period    = 60
      threshold = 10
      duration  = 0
      advice    = <<-EOT
        At this rate, the errors allowed for 28 days are used up in less than three days.
        Look at the tile *Errors by code* for the function and the code. `unavailable`: look at the database's tiles, and at
        the status of Google Cloud. `internal`: the log of the function has the traceback under the request id. If it began
        with a release, go back to the release before. See "When something fails" in docs/operations.md.
      EOT
    }
    burn_slow = {
      title     = "Some requests fail, for hours"
      severity  = "WARNING"
      filter    = "select_slo_burn_rate(\"${google_monitoring_slo.availability.name}\", \"21600s\")"
      aligner   = "ALIGN_MEAN"
      reducer   = null
      period    = 60
      threshold = 4
      duration  = 0
      advice    = <<-EOT
        At this rate, the errors allowed for 28 days are used up in a week. Nothing has to be done at night.
        Look at the tile *Errors by code*, and in the log for `severity>=WARNING` of the function that has most of them.
      EOT
    }
    dead_letters = {
      title     = "Photos could not be ingested"
      severity  = "ERROR"
      filter    = local.dead_letter_count
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      period    = 300
      threshold = 0
      duration  = 0
      advice    = <<-EOT
        Events were delivered up to 100 times and never acknowledged. They are kept for a week in the subscription
        `lookalike-dead-letters`; each message has the name of a photo in `incoming/`.
        1. Find the reason in the log of the function `lookalike-ingest`, and mend it.
        2. Ingest what was missed: `lookalike ingest gs://BUCKET/incoming/ --cloud --tasks 1`. Photos that are stored already are skipped.
        3. Empty the subscription: `gcloud pubsub subscriptions seek lookalike-dead-letters --time=$(date -u +%FT%TZ)`.
      EOT
    }
    backlog = {
      title     = "Photos wait for their ingestion"
      severity  = "WARNING"
      filter    = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND ${local.event_filter}"
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_MAX"
      period    = 300
      threshold = 3600
      duration  = 600
      advice    = <<-EOT
        The oldest photo in `incoming/` has waited for more than an hour. Events expire after 24 hours.
        If many photos were uploaded at once, let the job do the work: `lookalike ingest gs://BUCKET/incoming/ --cloud`.
        Otherwise look at the log of `lookalike-ingest`: an error 503 says which part is unavailable.
      EOT
    }
    index_behind = {
      title     = "The index is two builds behind"
      severity  = "ERROR"
      filter    = "${local.log_metric}/index_builds_behind\" AND ${local.service_filter}"
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_MEAN"
      period    = 600
      threshold = 2
      duration  = 1200
      advice    = <<-EOT
        Twice as many garments have changed since the last build as start one. Searches stay correct, but get slower.
        Look at the log of the function `lookalike-reindex`. `Index version … is pinned`: someone has rolled the index back; run
        `lookalike index build` to end it. A build that runs out of memory or time: raise its limits in functions.tf.
      EOT
    }
    index_silent = {
      title     = "No index build was attempted for an hour"
      severity  = "ERROR"
      filter    = "${local.log_metric}/index_age_seconds\" AND ${local.service_filter}"
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_COUNT"
      period    = 600
      threshold = null
      duration  = 3600
      advice    = <<-EOT
        The schedule calls `reindex` every ten minutes, and each call logs the state of the index.
        Look at the job `lookalike-reindex` in Cloud Scheduler: is it paused, and what did its last calls respond? Then look at
        the log of the function `lookalike-reindex`.
      EOT
    }
    database_disk = {
      title     = "The database's disk is almost full"
      severity  = "ERROR"
      filter    = "metric.type=\"cloudsql.googleapis.com/database/disk/bytes_used\" AND ${local.database_filter}"
      aligner   = "ALIGN_MAX"
      reducer   = null
      period    = 300
      threshold = 0.8 * var.database_disk_limit * 1000000000
      duration  = 600
      advice    = <<-EOT
        The disk grows by itself up to `database_disk_limit`, of which 80 % are used. Without space, the database stops.
        Raise `database_disk_limit` and deploy; the disk cannot shrink again. To use less: `lookalike reembed --settle` deletes
        vectors of models that are not in use.
      EOT
    }
    database_connections = {
      title     = "The database has few connections left"
      severity  = "WARNING"
      filter    = "metric.type=\"cloudsql.googleapis.com/database/network/connections\" AND ${local.database_filter}"
      aligner   = "ALIGN_MAX"
      reducer   = null
      period    = 60
      threshold = 0.8 * local.max_connections
      duration  = 300
      advice    = <<-EOT
        80 % of `max_connections` are used. All functions and two executions of the jobs fit, so something else is connected, or
        three executions run. List them: `gcloud run jobs executions list --region=REGION`, and cancel what is not needed.
      EOT
    }
  }
}

resource "google_monitoring_alert_policy" "lookalike" {
  for_each              = local.alerts
  display_name          = "lookalike: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  documentation {
    content   = each.value.advice
    mime_type = "text/markdown"
  }

  conditions {
    display_name = each.value.title

    dynamic "condition_threshold" {
      for_each = each.value.threshold == null ? [] : [each.value]
      content {
        filter          = condition_threshold.value.filter
        comparison      = "COMPARISON_GT"
        threshold_value = condition_threshold.value.threshold
        duration        = "${condition_threshold.value.duration}s"
        aggregations {
          alignment_period     = "${condition_threshold.value.period}s"
          per_series_aligner   = condition_threshold.value.aligner
          cross_series_reducer = condition_threshold.value.reducer
        }
      }
    }

    dynamic "condition_absent" {
      for_each = each.value.threshold == null ? [each.value] : []
      content {
        filter   = condition_absent.value.filter
        duration = "${condition_absent.value.duration}s"
        aggregations {
          alignment_period     = "${condition_absent.value.period}s"
          per_series_aligner   = condition_absent.value.aligner
          cross_series_reducer = condition_absent.value.reducer
        }
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }

  depends_on = [google_logging_metric.lookalike]
}

resource "google_monitoring_alert_policy" "uptime" {
  count                 = var.uptime_seconds > 0 ? 1 : 0
  display_name          = "lookalike: Searches fail from outside"
  combiner              = "OR"
  severity              = "CRITICAL"
  notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]

  documentation {
    mime_type = "text/markdown"
    content   = <<-EOT
      A search with a photo fails from two continents at least. Try it: the address is the output `address` of Terraform.
      - No response at all: look at the certificate and the load balancer. A new certificate takes up to an hour.
      - Status 503: `/readyz` says which part is away. Look at the database first.
      - Status 429: an attack, or `rate_limit` is too low for the check.
    EOT
  }

  conditions {
    display_name = "Searches fail from outside"
    condition_threshold {
      filter          = "metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND resource.type=\"uptime_url\" AND metric.labels.check_id=\"${google_monitoring_uptime_check_config.search[0].uptime_check_id}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 1
      duration        = "0s"
      aggregations {
        alignment_period     = "1200s"
        per_series_aligner   = "ALIGN_NEXT_OLDER"
        cross_series_reducer = "REDUCE_COUNT_FALSE"
        group_by_fields      = ["resource.label.host"]
      }
    }
  }

  alert_strategy {
    auto_close = "86400s"
  }
}

resource "google_billing_budget" "lookalike" {
  count           = var.billing_account == "" ? 0 : 1
  billing_account = var.billing_account
  display_name    = "lookalike"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      units = var.monthly_budget
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  # The administrators of the billing account are told, too.
  all_updates_rule {
    monitoring_notification_channels = [for channel in google_monitoring_notification_channel.email : channel.id]
  }
}

# One dashboard. Each chart is a list of queries; the tiles are placed below in rows of three.

locals {
  revision   = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"lookalike-.*\")"
  by_service = ["resource.label.service_name"]

  # aligner and reducer: how points are combined over a minute, and then over instances. by: one line for each value.
  charts = [
    {
      title   = "Requests by function"
      unit    = "1/s"
      queries = [{ filter = "metric.type=\"run.googleapis.com/request_count\" AND ${local.revision}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = local.by_service, name = "" }]
    },
    {
      title = "Latency by function, 95 %"
      unit  = "s"
      queries = [
        { filter = "${local.log_metric}/request_seconds\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = local.by_service, name = "" },
      ]
    },
    {
      title   = "Errors by code"
      unit    = "1/s"
      queries = [{ filter = "${local.log_metric}/errors\" AND ${local.revision}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = ["metric.label.error", "metric.label.status"], name = "" }]
    },
    {
      title   = "Cold starts by function"
      unit    = "1"
      queries = [{ filter = "${local.log_metric}/start_seconds\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_COUNT", by = local.by_service, name = "" }]
    },
    {
      title   = "Time of cold starts, 95 %"
      unit    = "s"
      queries = [{ filter = "${local.log_metric}/start_seconds\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = local.by_service, name = "" }]
    },
    {
      title   = "Instances by function"
      unit    = "1"
      queries = [{ filter = "metric.type=\"run.googleapis.com/container/instance_count\" AND ${local.revision}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = local.by_service, name = "" }]
    },
    {
      title   = "Waiting for the models, 95 %"
      unit    = "s"
      queries = [{ filter = "${local.log_metric}/queue_seconds\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_95", by = local.by_service, name = "" }]
    },
    {
      title = "Model time, median"
      unit  = "s"
      queries = [
        { filter = "${local.log_metric}/detect_seconds\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_50", by = local.by_service, name = "detect" },
        { filter = "${local.log_metric}/embed_seconds\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_50", by = local.by_service, name = "embed" },
      ]
    },
    {
      title   = "Memory by function"
      unit    = "1"
      queries = [{ filter = "metric.type=\"run.googleapis.com/container/memory/utilizations\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_PERCENTILE_99", by = local.by_service, name = "" }]
    },
    {
      title   = "Age of the index by version"
      unit    = "s"
      queries = [{ filter = "${local.log_metric}/index_age_seconds\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = ["metric.label.index_version"], name = "" }]
    },
    {
      title = "Garments in the index, and builds behind"
      unit  = "1"
      queries = [
        { filter = "${local.log_metric}/index_rows\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], name = "garments" },
        { filter = "${local.log_metric}/index_builds_behind\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], name = "builds behind" },
      ]
    },
    {
      title   = "Recall of the index"
      unit    = "1"
      queries = [{ filter = "${local.log_metric}/index_recall\" AND ${local.revision}", aligner = "ALIGN_DELTA", reducer = "REDUCE_MEAN", by = [], name = "" }]
    },
    {
      title   = "Photos waiting for their ingestion"
      unit    = "1"
      queries = [{ filter = "${local.undelivered} AND ${local.event_filter}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = [], name = "" }]
    },
    {
      title   = "Dead letters"
      unit    = "1"
      queries = [{ filter = "${local.undelivered} AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${google_pubsub_subscription.dead_letters.name}\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = [], name = "" }]
    },
    {
      title   = "Tasks of the jobs"
      unit    = "1"
      queries = [{ filter = "metric.type=\"run.googleapis.com/job/completed_task_attempt_count\" AND resource.type=\"cloud_run_job\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", by = ["resource.label.job_name", "metric.label.result"], name = "" }]
    },
    {
      title   = "Database connections"
      unit    = "1"
      queries = [{ filter = "metric.type=\"cloudsql.googleapis.com/database/network/connections\" AND ${local.database_filter}", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = [], name = "" }]
    },
    {
      title   = "Database storage"
      unit    = "By"
      queries = [{ filter = "metric.type=\"cloudsql.googleapis.com/database/disk/bytes_used\" AND ${local.database_filter}", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX", by = [], name = "" }]
    },
    {
      title   = "Database CPU"
      unit    = "1"
      queries = [{ filter = "metric.type=\"cloudsql.googleapis.com/database/cpu/utilization\" AND ${local.database_filter}", aligner = "ALIGN_MEAN", reducer = "REDUCE_MAX", by = [], name = "" }]
    },
  ]

  # The sum of a distribution cannot be charted with a filter, so this is PromQL.
  cost_query = "sum by (service_name) (increase(logging_googleapis_com:user_lookalike_cost_sum{monitored_resource=\"cloud_run_revision\"}[1h]))"

  chart_widgets = [
    for chart in local.charts : {
      title = chart.title
      xyChart = {
        dataSets = [
          for query in chart.queries : {
            plotType       = "LINE"
            targetAxis     = "Y1"
            legendTemplate = query.name
            timeSeriesQuery = {
              unitOverride = chart.unit
              timeSeriesFilter = {
                filter = query.filter
                aggregation = {
                  alignmentPeriod    = "60s"
                  perSeriesAligner   = query.aligner
                  crossSeriesReducer = query.reducer
                  groupByFields      = query.by
                }
              }
            }
          }
        ]
      }
    }
  ]
  cost_widget = {
    title = "Estimated cost of an hour, if `prices` are set"
    xyChart = {
      dataSets = [{
        plotType        = "LINE"
        targetAxis      = "Y1"
        timeSeriesQuery = { prometheusQuery = local.cost_query }
      }]
    }
  }
  widgets = concat([for widget in local.chart_widgets : widget], [local.cost_widget])
}

resource "google_monitoring_dashboard" "lookalike" {
  dashboard_json = jsonencode({
    displayName = "lookalike"
    mosaicLayout = {
      columns = 48
      tiles = [
        for index, widget in local.widgets : {
          xPos   = index % 3 * 16
          yPos   = floor(index / 3) * 16
          width  = 16
          height = 16
          widget = widget
        }
      ]
    }
  })

  depends_on = [google_logging_metric.lookalike]
}

output "dashboard" {
  description = "Where the dashboard is"
  value       = "https://console.cloud.google.com/monitoring/dashboards?project=${var.project}"
}

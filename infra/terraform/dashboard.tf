# One dashboard. Each chart is a list of queries; the tiles are placed below in rows of three.

locals {
  revision   = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=monitoring.regex.full_match(\"lookalike-.*\")"
  by_service = ["resource.label.service_name"]

  # A query has one source: a metric from logs (log), of the instances (run), of the database (sql), or a filter.
  # align and reduce: how points are combined over a minute, and then over instances. by: one line for each value.
  charts = [
    {
      title   = "Requests by function"
      unit    = "1/s"
      queries = [{ run = "request_count", align = "RATE", reduce = "SUM", by = local.by_service }]
    },
    {
      title   = "Latency by function, 95 %"
      unit    = "s"
      queries = [{ log = "request_seconds", align = "DELTA", reduce = "PERCENTILE_95", by = local.by_service }]
    },
    {
      title   = "Errors by code"
      unit    = "1/s"
      queries = [{ log = "errors", align = "RATE", reduce = "SUM", by = ["metric.label.error", "metric.label.status"] }]
    },
    {
      title   = "Cold starts by function"
      unit    = "1"
      queries = [{ log = "start_seconds", align = "DELTA", reduce = "COUNT", by = local.by_service }]
    },
    {
      title   = "Time of cold starts, 95 %"
      unit    = "s"
      queries = [{ log = "start_seconds", align = "DELTA", reduce = "PERCENTILE_95", by = local.by_service }]
    },
    {
      title   = "Instances by function"
      unit    = "1"
      queries = [{ run = "container/instance_count", align = "MAX", reduce = "SUM", by = local.by_service }]
    },
    {
      title   = "Waiting for the models, 95 %"
      unit    = "s"
      queries = [{ log = "queue_seconds", align = "DELTA", reduce = "PERCENTILE_95", by = local.by_service }]
    },
    {
      title = "Model time, median"
      unit  = "s"
      queries = [
        { log = "detect_seconds", align = "DELTA", reduce = "PERCENTILE_50", by = local.by_service, name = "detect" },
        { log = "embed_seconds", align = "DELTA", reduce = "PERCENTILE_50", by = local.by_service, name = "embed" },
      ]
    },
    {
      title   = "Memory by function"
      unit    = "1"
      queries = [{ run = "container/memory/utilizations", align = "DELTA", reduce = "PERCENTILE_99", by = local.by_service }]
    },
    {
      title   = "Age of the index by version"
      unit    = "s"
      queries = [{ log = "index_age_seconds", align = "DELTA", reduce = "MEAN", by = ["metric.label.index_version"] }]
    },
    {
      title = "Garments in the index, and builds behind"
      unit  = "1"
      queries = [
        { log = "index_rows", align = "DELTA", reduce = "MEAN", name = "garments" },
        { log = "index_builds_behind", align = "DELTA", reduce = "MEAN", name = "builds behind" },
      ]
    },
    {
      title   = "Recall of the index"
      unit    = "1"
      queries = [{ log = "index_recall", align = "DELTA", reduce = "MEAN" }]
    },
    {
      title   = "Photos waiting for their ingestion"
      unit    = "1"
      queries = [{ filter = "${local.undelivered} AND ${local.event_filter}", align = "MAX", reduce = "SUM" }]
    },
    {
      title   = "Dead letters"
      unit    = "1"
      queries = [{ filter = local.dead_letter_count, align = "MAX", reduce = "SUM" }]
    },
    {
      title   = "Tasks of the jobs"
      unit    = "1"
      queries = [{ filter = local.job_tasks, align = "DELTA", reduce = "SUM", by = ["resource.label.job_name", "metric.label.result"] }]
    },
    {
      title   = "Database connections"
      unit    = "1"
      queries = [{ sql = "network/connections", align = "MAX", reduce = "MAX" }]
    },
    {
      title   = "Database storage"
      unit    = "By"
      queries = [{ sql = "disk/bytes_used", align = "MAX", reduce = "MAX" }]
    },
    {
      title   = "Database CPU"
      unit    = "1"
      queries = [{ sql = "cpu/utilization", align = "MEAN", reduce = "MAX" }]
    },
  ]
  job_tasks = "metric.type=\"run.googleapis.com/job/completed_task_attempt_count\" AND resource.type=\"cloud_run_job\""

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
            legendTemplate = try(query.name, "")
            timeSeriesQuery = {
              unitOverride = chart.unit
              timeSeriesFilter = {
                # the first that the query has
                filter = try(
                  "${local.log_metric}/${query.log}\" AND ${local.revision}",
                  "metric.type=\"run.googleapis.com/${query.run}\" AND ${local.revision}",
                  "metric.type=\"cloudsql.googleapis.com/database/${query.sql}\" AND ${local.database_filter}",
                  query.filter,
                )
                aggregation = {
                  alignmentPeriod    = "60s"
                  perSeriesAligner   = "ALIGN_${query.align}"
                  crossSeriesReducer = "REDUCE_${query.reduce}"
                  groupByFields      = try(query.by, [])
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

# Events: Eventarc calls ingest for each new object of the bucket, and Cloud Scheduler calls reindex.

locals {
  # A failed event is retried and then goes to the dead letters. Attempts × longest delay stays below 24 hours, after which
  # Eventarc drops events.
  max_delivery_attempts = 100
  longest_backoff       = 600
  # Seconds. Longer than a request may take.
  ack_deadline = 90
}

resource "google_service_account" "trigger" {
  account_id   = "lookalike-trigger"
  display_name = "lookalike: delivers storage events"
}

resource "google_service_account" "scheduler" {
  account_id   = "lookalike-scheduler"
  display_name = "lookalike: starts reindexing"
}

resource "google_project_iam_member" "trigger" {
  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.trigger.member
}

data "google_storage_project_service_account" "storage" {}

resource "google_project_iam_member" "storage_publishes" {
  project = var.project
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.storage.member
}

# Eventarc cannot filter by object name, so ingest receives all objects and acknowledges those outside incoming/.
resource "google_eventarc_trigger" "ingest" {
  name            = "lookalike-ingest"
  location        = var.region
  service_account = google_service_account.trigger.email

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.storage.object.v1.finalized"
  }
  matching_criteria {
    attribute = "bucket"
    value     = google_storage_bucket.closet.name
  }

  destination {
    cloud_run_service {
      service = google_cloud_run_v2_service.function["ingest"].name
      region  = var.region
      path    = "/"
    }
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.trigger,
    google_project_iam_member.storage_publishes,
    google_project_iam_member.trigger,
  ]
}

resource "google_pubsub_topic" "dead_letters" {
  #checkov:skip=CKV_GCP_83:messages only have names of photos, and Google encrypts them with its own keys
  name = "lookalike-dead-letters"
}

# A topic without a subscription does not keep messages.
resource "google_pubsub_subscription" "dead_letters" {
  name                       = "lookalike-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub's own service account moves undelivered messages: it subscribes to the one topic and publishes to the other.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  topic  = google_pubsub_topic.dead_letters.name
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription_iam_member" "dead_letters" {
  subscription = google_eventarc_trigger.ingest.transport[0].pubsub[0].subscription
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# Eventarc owns the subscription, so its retry policy cannot be a Terraform resource.
resource "terraform_data" "dead_letters" {
  triggers_replace = [
    google_eventarc_trigger.ingest.transport[0].pubsub[0].subscription,
    google_pubsub_topic.dead_letters.id,
    local.max_delivery_attempts,
    local.longest_backoff,
    local.ack_deadline,
  ]

  provisioner "local-exec" {
    command = <<-EOT
      gcloud pubsub subscriptions update "${google_eventarc_trigger.ingest.transport[0].pubsub[0].subscription}" \
        --project="${var.project}" \
        --dead-letter-topic="${google_pubsub_topic.dead_letters.id}" \
        --max-delivery-attempts="${local.max_delivery_attempts}" \
        --min-retry-delay=10s \
        --max-retry-delay="${local.longest_backoff}s" \
        --ack-deadline="${local.ack_deadline}"
    EOT
  }

  depends_on = [google_pubsub_topic_iam_member.dead_letters, google_pubsub_subscription_iam_member.dead_letters]
}

variable "schedule_paused" {
  description = "Whether the schedule of reindex is paused: its sweep deletes objects whose rows are still to be imported"
  type        = bool
  default     = false
}

# May run more than once: reindex only builds an index if rows have changed.
resource "google_cloud_scheduler_job" "reindex" {
  name             = "lookalike-reindex"
  region           = var.region
  schedule         = "*/10 * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "${local.rebuild_timeout}s"
  paused           = var.schedule_paused

  retry_config {
    retry_count = 1
  }

  http_target {
    http_method = "POST"
    uri         = "${google_cloud_run_v2_service.function["reindex"].uri}/reindex"

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = google_cloud_run_v2_service.function["reindex"].uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.scheduler]
}

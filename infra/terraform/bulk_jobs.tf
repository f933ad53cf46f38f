# Work on many photos or garments: tasks that share the photos of a bucket, or the garments without a vector of the models.
# Nothing starts the jobs by itself:
#   lookalike ingest gs://BUCKET/PREFIX --cloud
#   lookalike reembed --cloud

variable "ingest_tasks" {
  description = "Default number of tasks of the jobs. Each works on its share of the photos or garments"
  type        = number
  default     = 20
}

variable "ingest_parallelism" {
  description = "Tasks of a job that run at the same time"
  type        = number
  default     = 8

  validation {
    condition     = var.ingest_parallelism >= 1 && var.ingest_parallelism <= local.max_ingest_parallelism
    error_message = "Set ingest_parallelism to at most local.max_ingest_parallelism: the database has no connections for more."
  }
}

variable "photo_buckets" {
  description = "Other buckets that photos are ingested from. The job may read them"
  type        = set(string)
  default     = []
}

locals {
  # Name = default arguments of `lookalike`.
  bulk_jobs = {
    ingest  = ["ingest", "gs://${google_storage_bucket.closet.name}/incoming/"]
    reembed = ["reembed"]
  }

  # Each task has a pool of connections, and two executions may overlap. See max_connections in data.tf.
  max_ingest_parallelism = 8

  # Seconds. A GPU task may take an hour at most. A task that did not finish is started again and continues.
  ingest_timeout = var.gpu_image == "" ? 21600 : 3600
}

resource "google_cloud_run_v2_job" "bulk" {
  for_each            = local.bulk_jobs
  name                = "lookalike-${each.key}"
  location            = var.region
  deletion_protection = false

  template {
    task_count  = var.ingest_tasks
    parallelism = min(var.ingest_parallelism, var.ingest_tasks)

    template {
      # The same work with the same permissions as the function that receives storage events.
      service_account = google_service_account.function["ingest"].email
      # The maximum. A retry costs only the photos that were in progress.
      max_retries                   = 10
      timeout                       = "${local.ingest_timeout}s"
      gpu_zonal_redundancy_disabled = contains(local.on_gpu, "ingest") ? true : null

      dynamic "node_selector" {
        for_each = contains(local.on_gpu, "ingest") ? ["nvidia-l4"] : []
        content {
          accelerator = node_selector.value
        }
      }

      containers {
        # The models of the functions: vectors of different models are not comparable.
        image   = contains(local.on_gpu, "ingest") ? var.gpu_image : var.image
        command = ["lookalike"]
        args    = each.value

        resources {
          limits = contains(local.on_gpu, "ingest") ? local.l4_limits : {
            cpu    = local.functions.ingest.cpu
            memory = local.functions.ingest.memory
          }
        }

        env {
          name  = "DB_USER"
          value = google_service_account.function["ingest"].account_id
        }
        dynamic "env" {
          for_each = contains(local.on_gpu, "ingest") ? local.gpu_environment : {}
          content {
            name  = env.key
            value = env.value
          }
        }
        dynamic "env" {
          for_each = local.environment
          content {
            name  = env.key
            value = env.value
          }
        }
        dynamic "env" {
          for_each = local.secrets
          content {
            name = env.key
            value_source {
              secret_key_ref {
                secret  = env.value
                version = "latest"
              }
            }
          }
        }
      }
    }
  }

  depends_on = [
    google_project_iam_member.database,
    google_secret_manager_secret_iam_member.function,
    google_secret_manager_secret_version.index_signing_key,
    google_sql_user.function,
    google_storage_bucket_iam_member.function,
    google_storage_bucket_iam_member.models,
    terraform_data.migrated,
  ]
}

resource "google_storage_bucket_iam_member" "photos" {
  for_each = var.photo_buckets
  bucket   = each.key
  role     = "roles/storage.objectViewer"
  member   = google_service_account.function["ingest"].member
}

moved {
  from = google_cloud_run_v2_job.ingest
  to   = google_cloud_run_v2_job.bulk["ingest"]
}

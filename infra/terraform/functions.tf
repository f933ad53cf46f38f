# The seven functions: one service and one account each.

locals {
  # Seconds. The package stops its own work ten seconds before.
  request_timeout = 60
  # To build the index of very many garments: what Cloud Scheduler waits at most.
  rebuild_timeout = 1800

  # concurrency: requests at once in an instance, threads, and database connections of its pool.
  # max_instances × concurrency, twice over while a release replaces the last one, stays below max_connections in data.tf.
  # At least 2: a probe needs a thread beside a request; but 1 where one request may take most of the memory, and no liveness
  # probe then. looks: whether it looks at photos, with the models.
  functions = {
    upload = {
      concurrency   = 4
      max_instances = 4
      cpu           = "2"
      memory        = "2Gi"
      looks         = true
      public        = true
      bucket_role   = "roles/storage.objectUser"
    }
    relay = {
      concurrency   = 8
      max_instances = 8
      cpu           = "2"
      memory        = "2Gi"
      looks         = true
      public        = true
      bucket_role   = "roles/storage.objectViewer"
    }
    detail = {
      concurrency   = 16
      max_instances = 3
      cpu           = "1"
      memory        = "512Mi"
      looks         = false
      public        = true
      bucket_role   = "roles/storage.objectUser"
    }
    cancel = {
      concurrency   = 16
      max_instances = 2
      cpu           = "1"
      memory        = "512Mi"
      looks         = false
      public        = true
      bucket_role   = null
    }
    auth = {
      concurrency   = 16
      max_instances = 2
      cpu           = "1"
      memory        = "512Mi"
      looks         = false
      public        = true
      bucket_role   = null
    }
    ingest = {
      concurrency   = 4
      max_instances = 4
      cpu           = "2"
      memory        = "2Gi"
      looks         = true
      public        = false
      bucket_role   = "roles/storage.objectUser"
    }
    # what it holds does not grow with the garments but for the approximate index and its sample: some 2 GB for a million
    reindex = {
      concurrency   = 1
      max_instances = 1
      cpu           = "2"
      memory        = "4Gi"
      looks         = false
      public        = false
      bucket_role   = "roles/storage.objectUser"
    }
  }

  # Who Cloud Run lets call a private function, for the function to know them by
  callers = {
    ingest  = google_service_account.trigger.email
    reindex = google_service_account.scheduler.email
  }

  # Every function reads the same settings, and refuses to start here where one of them is missing.
  # with a load balancer before it, only that may write where a caller comes from
  public_ingress = var.trusted_proxies > 0 ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"
  environment = {
    AUTH_URL           = var.supabase_url
    CLOUD_SQL_INSTANCE = google_sql_database_instance.catalog.connection_name
    CORS_ORIGINS       = var.cors_origins
    DB_NAME            = google_sql_database.catalog.name
    MODELS             = var.gpu_image == "" ? "compact" : "full"
    REQUEST_TIMEOUT    = local.request_timeout
    STORE_URL          = "gs://${google_storage_bucket.closet.name}"
    TRUSTED_PROXIES    = var.trusted_proxies
  }
}

resource "google_service_account" "function" {
  for_each     = local.functions
  account_id   = "lookalike-${each.key}"
  display_name = "lookalike: the function ${each.key}"
}

resource "google_cloud_run_v2_service" "function" {
  for_each            = local.functions
  name                = "lookalike-${each.key}"
  location            = var.region
  ingress             = each.value.public ? local.public_ingress : "INGRESS_TRAFFIC_INTERNAL_ONLY"
  deletion_protection = false

  template {
    service_account                  = google_service_account.function[each.key].email
    timeout                          = each.key == "reindex" ? "${local.rebuild_timeout}s" : "${local.request_timeout}s"
    max_instance_request_concurrency = each.value.concurrency
    gpu_zonal_redundancy_disabled    = contains(local.on_gpu, each.key) ? true : null

    dynamic "node_selector" {
      for_each = contains(local.on_gpu, each.key) ? ["nvidia-l4"] : []
      content {
        accelerator = node_selector.value
      }
    }

    scaling {
      min_instance_count = 0
      max_instance_count = each.value.max_instances
    }

    containers {
      image = contains(local.on_gpu, each.key) ? var.gpu_image : var.image

      # An instance with a GPU is billed as long as it is there
      resources {
        limits = contains(local.on_gpu, each.key) ? local.l4_limits : {
          cpu    = each.value.cpu
          memory = each.value.memory
        }
        cpu_idle          = !contains(local.on_gpu, each.key)
        startup_cpu_boost = true
      }

      # start.sh makes THREADS of it
      env {
        name  = "CONCURRENCY"
        value = each.value.concurrency
      }
      env {
        name  = "FUNCTION_TARGET"
        value = each.key
      }
      # MySQL knows a service account by what stands before its @
      env {
        name  = "DB_USER"
        value = google_service_account.function[each.key].account_id
      }
      dynamic "env" {
        for_each = each.value.public ? {} : { PLATFORM_ACCOUNTS = local.callers[each.key] }
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = contains(local.on_gpu, each.key) ? local.gpu_environment : {}
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

      # Loads models and index: no traffic before. Three minutes, the first failed tries being the ones before it listens.
      startup_probe {
        period_seconds    = 5
        timeout_seconds   = 5
        failure_threshold = 36
        http_get {
          path = "/readyz"
        }
      }

      # Waits for a thread like any request: patient for longer than a request may last. Where a request has the only thread,
      # the request's own timeout must do
      dynamic "liveness_probe" {
        for_each = each.value.concurrency > 1 ? ["/healthz"] : []
        content {
          period_seconds    = 30
          timeout_seconds   = 30
          failure_threshold = 4
          http_get {
            path = liveness_probe.value
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

# Who may call at all. The public ones say themselves who may do what.
resource "google_cloud_run_v2_service_iam_member" "public" {
  for_each = { for name, function in local.functions : name => function if function.public }
  name     = google_cloud_run_v2_service.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

resource "google_cloud_run_v2_service_iam_member" "trigger" {
  name     = google_cloud_run_v2_service.function["ingest"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.trigger.member
}

resource "google_cloud_run_v2_service_iam_member" "scheduler" {
  name     = google_cloud_run_v2_service.function["reindex"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}

resource "google_storage_bucket_iam_member" "function" {
  for_each = { for name, function in local.functions : name => function if function.bucket_role != null }
  bucket   = google_storage_bucket.closet.name
  role     = each.value.bucket_role
  member   = google_service_account.function[each.key].member
}

# Signed addresses without a key file: the account signs as itself. Only a search answers with addresses.
resource "google_service_account_iam_member" "relay_signs" {
  service_account_id = google_service_account.function["relay"].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.function["relay"].member
}

resource "google_secret_manager_secret_iam_member" "function" {
  for_each = {
    for pair in setproduct(keys(local.functions), keys(local.secrets)) :
    "${pair[0]} ${pair[1]}" => { function = pair[0], secret = local.secrets[pair[1]] }
  }
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}

# The seven functions. Each has a service and an account of its own.

locals {
  # Seconds. The functions stop their own work ten seconds earlier, to be able to respond.
  request_timeout = 60
  # Seconds for building the index. The maximum of Cloud Scheduler.
  rebuild_timeout = 1800

  # concurrency: concurrent requests of an instance, its threads, and the connections of its database pool.
  # Twice the sum of max_instances × concurrency stays below max_connections in data.tf, because a release runs old and new
  # instances. At least 2, so that a thread is left for the probes. reindex has 1, because a request may take most of the
  # memory; so it has no liveness probe.
  # memory: a process with models takes 0.3 GiB under load; a photo of 40 megapixels 0.8 GiB more, and other photos wait
  # meanwhile; each request up to 0.06 GiB for its body.
  # uses_models: whether it loads the models.
  functions = {
    upload = {
      concurrency   = 4
      max_instances = 4
      cpu           = "2"
      memory        = "1536Mi"
      uses_models   = true
      public        = true
      bucket_role   = "roles/storage.objectUser"
    }
    relay = {
      concurrency   = 8
      max_instances = 8
      cpu           = "2"
      memory        = "1536Mi"
      uses_models   = true
      public        = true
      bucket_role   = "roles/storage.objectViewer"
    }
    detail = {
      concurrency   = 16
      max_instances = 3
      cpu           = "1"
      memory        = "512Mi"
      uses_models   = false
      public        = true
      bucket_role   = "roles/storage.objectUser"
    }
    cancel = {
      concurrency   = 16
      max_instances = 2
      cpu           = "1"
      memory        = "512Mi"
      uses_models   = false
      public        = true
      bucket_role   = null
    }
    # It exports and erases the photos of a user.
    auth = {
      concurrency   = 16
      max_instances = 2
      cpu           = "1"
      memory        = "512Mi"
      uses_models   = false
      public        = true
      bucket_role   = "roles/storage.objectUser"
    }
    ingest = {
      concurrency   = 4
      max_instances = 4
      cpu           = "2"
      memory        = "1536Mi"
      uses_models   = true
      public        = false
      bucket_role   = "roles/storage.objectUser"
    }
    # Only the approximate index and its training sample grow with the number of garments: about 2 GB for a million.
    reindex = {
      concurrency   = 1
      max_instances = 1
      cpu           = "2"
      memory        = "4Gi"
      uses_models   = false
      public        = false
      bucket_role   = "roles/storage.objectUser"
    }
  }

  # Amount of memory = GiB.
  gib = {
    for memory in distinct(concat([for function in local.functions : function.memory], [local.l4_limits.memory])) :
    memory => endswith(memory, "Gi") ? tonumber(trimsuffix(memory, "Gi")) : tonumber(trimsuffix(memory, "Mi")) / 1024
  }

  function_secrets = {
    for name in keys(local.functions) :
    name => merge(local.secrets, lookup(local.extra_secrets, name, {}), contains(local.linking, name) ? local.cdn_secrets : {})
  }

  # Accounts that may call the private functions, which check the account again.
  callers = {
    ingest  = google_service_account.trigger.email
    reindex = google_service_account.scheduler.email
  }

  # With a load balancer in front, requests must come through it: otherwise clients could forge X-Forwarded-For.
  trusted_proxies = var.domain == "" ? var.trusted_proxies : 1
  public_ingress  = local.trusted_proxies > 0 ? "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER" : "INGRESS_TRAFFIC_ALL"

  # Settings of all functions. On Cloud Run, a function does not start if one of them is missing.
  environment = {
    AUTH_URL           = var.supabase_url
    CLOUD_SQL_INSTANCE = google_sql_database_instance.catalog.connection_name
    CORS_ORIGINS       = var.cors_origins
    DB_NAME            = google_sql_database.catalog.name
    # of the traces that log lines name
    GOOGLE_CLOUD_PROJECT = var.project
    MODELS               = var.gpu_image == "" ? "compact" : "full"
    PUBLIC_URL           = var.domain == "" ? "" : "https://${var.domain}"
    RATE_LIMIT           = var.rate_limit
    REQUEST_TIMEOUT      = local.request_timeout
    STORE_URL            = "gs://${google_storage_bucket.closet.name}"
    TRUSTED_PROXIES      = local.trusted_proxies
  }
}

resource "google_service_account" "function" {
  for_each     = local.functions
  account_id   = "lookalike-${each.key}"
  display_name = "lookalike: function ${each.key}"
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

      # An instance with a GPU is billed for its whole lifetime, so its CPU is always allocated.
      resources {
        limits = contains(local.on_gpu, each.key) ? local.l4_limits : {
          cpu    = each.value.cpu
          memory = each.value.memory
        }
        cpu_idle          = !contains(local.on_gpu, each.key)
        startup_cpu_boost = true
      }

      # start.sh sets THREADS to it.
      env {
        name  = "CONCURRENCY"
        value = each.value.concurrency
      }
      env {
        name  = "FUNCTION_TARGET"
        value = each.key
      }
      # MySQL's name of a service account is the part before the @.
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
        for_each = contains(local.linking, each.key) ? local.cdn_environment : {}
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
      # Size of the instance, from which the cost of a request is estimated if there are prices.
      env {
        name  = "INSTANCE_VCPUS"
        value = contains(local.on_gpu, each.key) ? local.l4_limits.cpu : each.value.cpu
      }
      env {
        name  = "INSTANCE_GIB"
        value = contains(local.on_gpu, each.key) ? local.gib[local.l4_limits.memory] : local.gib[each.value.memory]
      }
      dynamic "env" {
        # Only instances with a GPU are charged for one.
        for_each = { for name, value in local.measurement : name => value if name != "PRICE_GPU_SECOND" || contains(local.on_gpu, each.key) }
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = local.function_secrets[each.key]
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

      # No traffic before models and index are loaded. Three minutes, since probes also fail until the server listens.
      startup_probe {
        period_seconds    = 5
        timeout_seconds   = 5
        failure_threshold = 36
        http_get {
          path = "/readyz"
        }
      }

      # The probe needs a thread like any request, so it tolerates failures for longer than a request may take. With a single
      # thread there is no probe, and the request timeout has to suffice.
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
    google_secret_manager_secret_version.cdn_key,
    google_secret_manager_secret_version.index_signing_key,
    google_sql_user.function,
    google_storage_bucket_iam_member.function,
    google_storage_bucket_iam_member.models,
    terraform_data.migrated,
  ]

  # A release moves the traffic (infra/release). New revisions are created without traffic.
  lifecycle {
    ignore_changes = [traffic]
  }
}

# Permission to call a service. The public functions authenticate and authorize requests themselves.
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

# Signed URLs without a key file: the account signs with its own identity.
resource "google_service_account_iam_member" "signs" {
  for_each           = toset(local.linking)
  service_account_id = google_service_account.function[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.function[each.key].member
}

moved {
  from = google_service_account_iam_member.relay_signs
  to   = google_service_account_iam_member.signs["relay"]
}

moved {
  from = google_service_account_iam_member.auth_signs
  to   = google_service_account_iam_member.signs["auth"]
}

resource "google_secret_manager_secret_iam_member" "function" {
  for_each = merge([
    for name, secrets in local.function_secrets :
    { for setting, secret in secrets : "${name} ${setting}" => { function = name, secret = secret } }
  ]...)
  secret_id = each.value.secret
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}

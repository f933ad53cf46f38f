# Stored data: bucket, database and secrets; and the job that migrates the tables.

locals {
  # Enough for twice all instances, since a release replaces them while the old ones serve, and for two executions of the
  # jobs lookalike-ingest and lookalike-reembed. The rest is for the migration and for administrators.
  max_connections = 500

  # The database can be restored to any moment of so many days, and each deleted object of the bucket for as long.
  restore_days     = 7
  old_version_days = local.restore_days
  soft_delete_days = 7

  # Setting name = secret name. infra/deploy asks for the secrets of Supabase.
  own_secrets = {
    INDEX_SIGNING_KEY = google_secret_manager_secret.index_signing_key.secret_id
  }
  # Only auth registers and signs in.
  extra_secrets = {
    auth = { SUPABASE_KEY = "lookalike-supabase-key" }
  }
  hs256_secrets = {
    SUPABASE_JWT_SECRET = "lookalike-supabase-jwt-secret"
  }
  secrets = merge(local.own_secrets, var.supabase_signs_hs256 ? local.hs256_secrets : {})
}

# No lifecycle rule deletes current objects by age: the index in use and unprocessed photos in incoming/ may be old. reindex
# deletes unused objects. For a while, a deleted or overwritten object is kept as an old version, and then as a soft-deleted
# one, which also a deleted bucket leaves behind. Erased photos are gone for good after both times.
resource "google_storage_bucket" "closet" {
  #checkov:skip=CKV_GCP_62:each function logs its requests; a log of objects would repeat them, with addresses of people
  name                        = "${var.project}-lookalike"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = 86400 * local.soft_delete_days
  }

  lifecycle_rule {
    condition {
      with_state                 = "ARCHIVED"
      days_since_noncurrent_time = local.old_version_days
    }
    action {
      type = "Delete"
    }
  }

  lifecycle_rule {
    condition {
      age = 1
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }
}

resource "google_sql_database_instance" "catalog" {
  #checkov:skip=CKV_GCP_60:no network is authorized, and connections need a certificate from the connector
  name                = "lookalike"
  database_version    = "MYSQL_8_4"
  region              = var.region
  deletion_protection = var.deletion_protection

  settings {
    tier    = var.database_tier
    edition = "ENTERPRISE"
    # A standby in another zone takes over. It doubles the price of the instance.
    availability_type = var.high_availability ? "REGIONAL" : "ZONAL"
    # Also against deletions that do not come from Terraform
    deletion_protection_enabled = var.deletion_protection
    disk_type                   = "PD_SSD"
    disk_autoresize             = true
    disk_autoresize_limit       = var.database_disk_limit
    # The instance has a public address, but no network is authorized: only connectors with a certificate can connect.
    connector_enforcement = "REQUIRED"

    ip_configuration {
      ipv4_enabled = true
      ssl_mode     = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    # Point-in-time recovery restores the last backup and then replays the binary log. UTC.
    backup_configuration {
      enabled                        = true
      start_time                     = "02:00"
      binary_log_enabled             = true
      transaction_log_retention_days = local.restore_days

      backup_retention_settings {
        retained_backups = 14
        retention_unit   = "COUNT"
      }
    }

    # Minutes without a database, on Sunday at 03:00 UTC, after the backup. week5: other instances have had the update for weeks.
    maintenance_window {
      day          = 7
      hour         = 3
      update_track = "week5"
    }

    insights_config {
      query_insights_enabled  = true
      record_client_address   = false
      record_application_tags = false
    }

    database_flags {
      name  = "cloudsql_iam_authentication"
      value = "on"
    }
    database_flags {
      name  = "activate_all_roles_on_login"
      value = "on"
    }
    database_flags {
      name  = "max_connections"
      value = local.max_connections
    }
  }
}

resource "google_sql_database" "catalog" {
  name     = "lookalike"
  instance = google_sql_database_instance.catalog.name
  charset  = "utf8mb4"
}

# The migration creates the role (grant.py), which may only read and write rows.
resource "google_sql_user" "function" {
  for_each       = google_service_account.function
  name           = each.value.email
  instance       = google_sql_database_instance.catalog.name
  type           = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles = ["lookalike_function"]
  depends_on     = [terraform_data.migrated]
}

resource "google_sql_user" "migrate" {
  name           = google_service_account.migrate.email
  instance       = google_sql_database_instance.catalog.name
  type           = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles = ["cloudsqlsuperuser"]
}

# Roles for connecting to the instance (client) and for signing in (instanceUser).
resource "google_project_iam_member" "database" {
  for_each = {
    for pair in setproduct(keys(local.functions), ["client", "instanceUser"]) :
    join(" ", pair) => { account = google_service_account.function[pair[0]].member, role = pair[1] }
  }
  project = var.project
  role    = "roles/cloudsql.${each.value.role}"
  member  = each.value.account
}

resource "google_project_iam_member" "migrate" {
  for_each = toset(["client", "instanceUser"])
  project  = var.project
  role     = "roles/cloudsql.${each.key}"
  member   = google_service_account.migrate.member
}

resource "google_service_account" "migrate" {
  account_id   = "lookalike-migrate"
  display_name = "lookalike: migrates the tables"
}

resource "google_cloud_run_v2_job" "migrate" {
  name                = "lookalike-migrate"
  location            = var.region
  deletion_protection = false

  template {
    template {
      service_account = google_service_account.migrate.email
      max_retries     = 0
      timeout         = "1800s"

      containers {
        image   = var.image
        command = ["infra/docker/migrate.sh"]

        env {
          name  = "CLOUD_SQL_INSTANCE"
          value = google_sql_database_instance.catalog.connection_name
        }
        env {
          name  = "DB_NAME"
          value = google_sql_database.catalog.name
        }
        env {
          name  = "DB_USER"
          value = google_service_account.migrate.account_id
        }
      }
    }
  }

  depends_on = [google_sql_user.migrate, google_project_iam_member.migrate]
}

# Migrates the tables with every release, before the functions that need them are deployed.
resource "terraform_data" "migrated" {
  triggers_replace = [var.image]

  provisioner "local-exec" {
    command = "gcloud run jobs execute ${google_cloud_run_v2_job.migrate.name} --project=${var.project} --region=${var.region} --wait"
  }
}

resource "google_secret_manager_secret" "index_signing_key" {
  secret_id = "lookalike-index-signing-key"

  replication {
    auto {}
  }
}

# The key is ephemeral: Terraform does not write it to its state. To replace it, increase the version and run reindex. Until
# then, searches reject the index that the old key signed.
ephemeral "random_password" "index_signing_key" {
  length  = 64
  special = false
}

resource "google_secret_manager_secret_version" "index_signing_key" {
  secret                 = google_secret_manager_secret.index_signing_key.id
  secret_data_wo         = ephemeral.random_password.index_signing_key.result
  secret_data_wo_version = 1
}

# Earlier releases had other resource names. Without these blocks, Terraform would replace the database of a deployed project.
moved {
  from = google_sql_database_instance.catalogue # codespell:ignore
  to   = google_sql_database_instance.catalog
}

moved {
  from = google_sql_database.catalogue # codespell:ignore
  to   = google_sql_database.catalog
}

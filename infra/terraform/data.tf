# What lasts: photos, rows, secrets; and the job that brings the tables up to date.

locals {
  # A release doubles the instances for a while; the rest is for the migration and for people.
  max_connections = 500

  # The setting's name -> the secret's. Those of Supabase come from outside: bootstrap.sh asks for them.
  own_secrets = {
    INDEX_SIGNING_KEY = google_secret_manager_secret.index_signing_key.secret_id
    SUPABASE_KEY      = "lookalike-supabase-key"
  }
  hs256_secrets = {
    SUPABASE_JWT_SECRET = "lookalike-supabase-jwt-secret"
  }
  secrets = merge(local.own_secrets, var.supabase_signs_hs256 ? local.hs256_secrets : {})
}

# No rule deletes by age: the index in use, or a photo in incoming/ that is still to be looked at, may be old. reindex sweeps.
resource "google_storage_bucket" "closet" {
  name                        = "${var.project}-lookalike"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = false
  }

  # What was deleted can be had back for a week, by those who run the project
  soft_delete_policy {
    retention_duration_seconds = 604800
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
  name                = "lookalike"
  database_version    = "MYSQL_8_4"
  region              = var.region
  deletion_protection = true

  settings {
    tier    = var.database_tier
    edition = "ENTERPRISE"
    # It has an address, to which no network is let in: only a connector, with its certificate, gets through
    connector_enforcement = "REQUIRED"

    ip_configuration {
      ipv4_enabled = true
      ssl_mode     = "TRUSTED_CLIENT_CERTIFICATE_REQUIRED"
    }

    backup_configuration {
      enabled            = true
      binary_log_enabled = true
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

# The role is made by the migration (grant.py), and may read and write rows
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

# To reach the instance, and to sign in there
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
  display_name = "lookalike: changes the tables"
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

# Every release: the tables first, then the functions that need them
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

# Made here, sent on, and kept in no state file. Another key: raise the version, then reindex; until then searches refuse the old index.
ephemeral "random_password" "index_signing_key" {
  length  = 64
  special = false
}

resource "google_secret_manager_secret_version" "index_signing_key" {
  secret                 = google_secret_manager_secret.index_signing_key.id
  secret_data_wo         = ephemeral.random_password.index_signing_key.result
  secret_data_wo_version = 1
}

# The resources had other names before: a project that was already deployed keeps its database.
moved {
  from = google_sql_database_instance.catalogue # codespell:ignore
  to   = google_sql_database_instance.catalog
}

moved {
  from = google_sql_database.catalogue # codespell:ignore
  to   = google_sql_database.catalog
}

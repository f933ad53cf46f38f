# The API key for administrators with which a release uploads, finds and deletes a photo. A job creates it in the database and
# writes it to its secret, so that it is in no log, no state and on no computer.

resource "google_secret_manager_secret" "release_key" {
  secret_id = "lookalike-release-key"

  replication {
    auto {}
  }
}

resource "google_service_account" "release_key" {
  account_id   = "lookalike-release-key"
  display_name = "lookalike: creates the API key of releases"
}

resource "google_project_iam_member" "release_key" {
  for_each = toset(["client", "instanceUser"])
  project  = var.project
  role     = "roles/cloudsql.${each.key}"
  member   = google_service_account.release_key.member
}

# It signs the key.
resource "google_secret_manager_secret_iam_member" "release_key_signs" {
  secret_id = google_secret_manager_secret.index_signing_key.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.release_key.member
}

# It may add versions of the secret, but not read them.
resource "google_secret_manager_secret_iam_member" "release_key_writes" {
  secret_id = google_secret_manager_secret.release_key.secret_id
  role      = "roles/secretmanager.secretVersionAdder"
  member    = google_service_account.release_key.member
}

resource "google_sql_user" "release_key" {
  name           = google_service_account.release_key.email
  instance       = google_sql_database_instance.catalog.name
  type           = "CLOUD_IAM_SERVICE_ACCOUNT"
  database_roles = ["lookalike_function"]
  depends_on     = [terraform_data.migrated]
}

resource "google_cloud_run_v2_job" "release_key" {
  name                = "lookalike-release-key"
  location            = var.region
  deletion_protection = false

  template {
    template {
      service_account = google_service_account.release_key.email
      # A retry would create another key.
      max_retries = 0
      timeout     = "600s"

      containers {
        image   = var.image
        command = ["python", "infra/docker/release_key.py"]
        args    = [google_secret_manager_secret.release_key.id]

        env {
          name  = "DB_USER"
          value = google_service_account.release_key.account_id
        }
        dynamic "env" {
          for_each = local.environment
          content {
            name  = env.key
            value = env.value
          }
        }
        env {
          name = "INDEX_SIGNING_KEY"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.index_signing_key.secret_id
              version = "latest"
            }
          }
        }
      }
    }
  }

  depends_on = [
    google_project_iam_member.release_key,
    google_secret_manager_secret_iam_member.release_key_signs,
    google_secret_manager_secret_iam_member.release_key_writes,
    google_secret_manager_secret_version.index_signing_key,
    google_sql_user.release_key,
  ]
}

# Runs once, and again if the signing key is replaced, which makes all API keys invalid.
resource "terraform_data" "release_key" {
  triggers_replace = [google_secret_manager_secret_version.index_signing_key.id]

  provisioner "local-exec" {
    command = "gcloud run jobs execute ${google_cloud_run_v2_job.release_key.name} --project=${var.project} --region=${var.region} --wait"
  }
}

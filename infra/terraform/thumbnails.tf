# Thumbnails through Cloud CDN, at /pictures. The functions sign links with a key, and Cloud CDN verifies them. The bucket is
# private, so that requests without a signature are refused. Links to photos and cut-outs lead to Cloud Storage.

locals {
  # The functions whose responses have links to images. Only they get the key.
  linking  = ["auth", "detail", "relay"]
  pictures = "/pictures"

  cdn_environment = var.domain == "" ? {} : { CDN_URL = "https://${var.domain}${local.pictures}" }
  cdn_secrets     = var.domain == "" ? {} : { CDN_KEY = google_secret_manager_secret.cdn_key[0].secret_id }
}

# The key is in Terraform's state, because the provider has no other way to give it to Cloud CDN. It opens thumbnails only.
# To replace it: terraform apply -replace=random_bytes.cdn_key[0], and then a release, whose instances read the new one.
resource "random_bytes" "cdn_key" {
  count  = local.one
  length = 16
}

resource "google_compute_backend_bucket" "thumbnails" {
  count       = local.one
  name        = "lookalike-thumbnails"
  bucket_name = google_storage_bucket.closet.name
  enable_cdn  = true
  # Other sites show the thumbnails, too.
  custom_response_headers = [
    "Cross-Origin-Resource-Policy: cross-origin",
    "X-Content-Type-Options: nosniff",
  ]

  cdn_policy {
    cache_mode = "USE_ORIGIN_HEADERS"
    # Seconds that Cloud CDN keeps a thumbnail whose link it has verified. So an erased one is gone an hour later.
    signed_url_cache_max_age_sec = 3600
  }
}

resource "google_compute_backend_bucket_signed_url_key" "thumbnails" {
  count          = local.one
  name           = "lookalike"
  backend_bucket = google_compute_backend_bucket.thumbnails[0].name
  # base64url, which Cloud CDN requires
  key_value = replace(replace(random_bytes.cdn_key[0].base64, "+", "-"), "/", "_")
}

# Cloud CDN's own service account. It exists as soon as a backend bucket has a key. It is used for requests with a valid
# signature only. The condition leaves all other objects and lists out, even if someone had the key.
resource "google_storage_bucket_iam_member" "thumbnails" {
  count  = local.one
  bucket = google_storage_bucket.closet.name
  role   = "roles/storage.objectViewer"
  member = "serviceAccount:service-${data.google_project.this.number}@cloud-cdn-fill.iam.gserviceaccount.com"

  condition {
    title      = "thumbnails"
    expression = "resource.type == 'storage.googleapis.com/Object' && resource.name.endsWith('.thumbnail.jpg')"
  }

  depends_on = [google_compute_backend_bucket_signed_url_key.thumbnails]
}

resource "google_secret_manager_secret" "cdn_key" {
  count     = local.one
  secret_id = "lookalike-cdn-key"

  replication {
    auto {}
  }
}

# Name and key, as the setting CDN_KEY has them
resource "google_secret_manager_secret_version" "cdn_key" {
  count       = local.one
  secret      = google_secret_manager_secret.cdn_key[0].id
  secret_data = "${google_compute_backend_bucket_signed_url_key.thumbnails[0].name}:${google_compute_backend_bucket_signed_url_key.thumbnails[0].key_value}"
}

# The bucket of the web page and the widget, with a backend for each. Only the load balancer reads it, through Cloud CDN.

locals {
  web    = "${path.module}/../../shared/lookalike/web"
  photos = "${path.module}/../../shared/lookalike/sample_closet/queries"

  # Object name = file. The function serve_static of `lookalike serve` serves the same; a test compares both.
  page_files = merge(
    { for name in ["index.html", "searches.html"] : name => "${local.web}/${name}" },
    { "widget/lookalike-search.js" = "${local.web}/lookalike-search.js" },
    { for name in fileset(local.web, "**/*.{css,js,json}") : "web/${name}" => "${local.web}/${name}" },
    { for name in fileset(local.photos, "*.jpg") : "samples/${name}" => "${local.photos}/${name}" },
  )
  content_types = {
    html = "text/html; charset=utf-8"
    css  = "text/css; charset=utf-8"
    js   = "text/javascript; charset=utf-8"
    jpg  = "image/jpeg"
    json = "application/json"
    svg  = "image/svg+xml"
  }
  samples = [
    for name in sort(fileset(local.photos, "*.jpg")) : { name = name, url = "/samples/${name}" }
  ]

  # Seconds that browsers and Cloud CDN keep a file. Short, since names do not change with the content.
  page_cache = "public, max-age=300"
}

# Names of buckets are global. The files can be uploaded again at any time, so nothing protects them.
resource "google_storage_bucket" "page" {
  #checkov:skip=CKV_GCP_62:the load balancer logs each request
  #checkov:skip=CKV_GCP_78:the files are in the repository
  count                       = local.one
  name                        = "${var.project}-lookalike-page"
  location                    = var.region
  force_destroy               = true
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  website {
    main_page_suffix = "index.html"
  }
}

resource "google_storage_bucket_object" "page" {
  for_each      = var.domain == "" ? {} : local.page_files
  bucket        = google_storage_bucket.page[0].name
  name          = each.key
  source        = each.value
  content_type  = local.content_types[reverse(split(".", each.key))[0]]
  cache_control = local.page_cache
}

# The page for administrators, at /admin
resource "google_storage_bucket_object" "admin" {
  count         = local.one
  bucket        = google_storage_bucket.page[0].name
  name          = "admin"
  source        = "${local.web}/admin/index.html"
  content_type  = local.content_types.html
  cache_control = local.page_cache
}

# The list of sample photos that the page offers
resource "google_storage_bucket_object" "samples" {
  count         = local.one
  bucket        = google_storage_bucket.page[0].name
  name          = "samples"
  content       = jsonencode(local.samples)
  content_type  = local.content_types.json
  cache_control = local.page_cache
}

# The load balancer's own service account. It exists as soon as the project has a backend bucket.
resource "google_storage_bucket_iam_member" "page" {
  count      = local.one
  bucket     = google_storage_bucket.page[0].name
  role       = "roles/storage.objectViewer"
  member     = "serviceAccount:service-${data.google_project.this.number}@https-lb.iam.gserviceaccount.com"
  depends_on = [google_compute_backend_bucket.page]
}

resource "google_compute_backend_bucket" "page" {
  count       = local.one
  name        = "lookalike-page"
  bucket_name = google_storage_bucket.page[0].name
  enable_cdn  = true
  # The headers of `lookalike serve`
  custom_response_headers = [
    "Content-Security-Policy: default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: no-referrer",
  ]

  cdn_policy {
    cache_mode = "USE_ORIGIN_HEADERS"
  }
}

# Other sites load the widget, so it needs no policy of its own but the permission to be read.
resource "google_compute_backend_bucket" "widget" {
  count       = local.one
  name        = "lookalike-widget"
  bucket_name = google_storage_bucket.page[0].name
  enable_cdn  = true
  custom_response_headers = [
    "Access-Control-Allow-Origin: *",
    "Cross-Origin-Resource-Policy: cross-origin",
    "X-Content-Type-Options: nosniff",
  ]

  cdn_policy {
    cache_mode = "USE_ORIGIN_HEADERS"
  }
}

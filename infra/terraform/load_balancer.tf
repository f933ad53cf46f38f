# One address for everything, if `domain` is set: a global load balancer in front of the public functions, the web page and
# the widget. The functions then accept no other traffic. See docs/deployment.md.

variable "domain" {
  description = "Domain of the load balancer, whose DNS you control. Empty: no load balancer, each function has its own address"
  type        = string
  default     = ""

  validation {
    condition     = var.domain == "" || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "Set domain to a domain name in lower case, such as lookalike.example.com, without https://."
  }
}

variable "requests_per_minute" {
  description = "Requests a minute from one address that the load balancer accepts, with or without a token"
  type        = number
  default     = 600
}

locals {
  # The keys of for_each and count: empty without a load balancer.
  addresses = var.domain == "" ? {} : { ipv4 = "IPV4", ipv6 = "IPV6" }
  one       = var.domain == "" ? 0 : 1
  balanced  = var.domain == "" ? [] : [for name, function in local.functions : name if function.public]

  # The revisions behind the load balancer: those with traffic, and those of a release that have none yet. A release reaches
  # these by the host name candidate.DOMAIN. It needs no DNS record and no certificate: the release connects to DOMAIN and
  # sends this name in the header Host. See infra/release.
  backends = merge(
    { for name in local.balanced : name => { function = name, tag = null } },
    { for name in local.balanced : "candidate-${name}" => { function = name, tag = "candidate" } },
  )

  # The paths of each function, with and without a slash at the end. A longer pattern has precedence. A test compares them with
  # the route table. The private functions ingest and reindex are missing, and so is everything that the page's bucket serves.
  paths = {
    upload = [
      "/catalog/sync", "/image/split", "/index_versions/rebuild", "/index_versions/rollback", "/ingestions/retry", "/recut/*",
      "/split_image", "/splitted_images", "/upload_image", "/upload_single_image",
    ]
    relay = [
      "/docs", "/duplicates", "/feedback", "/healthz", "/index_versions", "/models", "/openapi.json", "/readyz",
      "/relay_image", "/search", "/search_history", "/search_history/*",
    ]
    detail = [
      "/duplicates/decisions", "/duplicates/merge", "/erase", "/garments", "/image_detail", "/image_detail/*",
      "/ingestions", "/originals/*", "/products", "/products/*", "/splitted_images/*", "/thumbnails/*",
    ]
    cancel = [
      "/cancel_processing/*", "/cancel_request/*", "/cleanup_requests", "/jobs", "/request_status/*", "/statistics",
    ]
    auth = ["/accounts", "/api/auth/*", "/api_keys", "/api_keys/*", "/me", "/me/*"]
  }
  patterns = {
    for name, paths in local.paths :
    name => flatten([for path in paths : endswith(path, "*") ? [path] : [path, "${path}/"]])
  }

  # Preconfigured rules of Cloud Armor. They only log what they would reject, because photos and vectors in requests can look
  # like attacks. To enforce one, look at the log first.
  armor_rules = ["sqli", "xss", "lfi", "rfi", "rce", "scannerdetection", "protocolattack", "sessionfixation"]
}

resource "google_compute_global_address" "lookalike" {
  for_each   = local.addresses
  name       = "lookalike-${each.key}"
  ip_version = each.value
}

# The name contains the domain, since a certificate cannot be changed. The new one exists before the old one is deleted.
resource "google_compute_managed_ssl_certificate" "lookalike" {
  count = local.one
  name  = "lookalike-${substr(sha256(var.domain), 0, 8)}"

  managed {
    domains = [var.domain]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_ssl_policy" "lookalike" {
  count           = local.one
  name            = "lookalike"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"
}

resource "google_compute_region_network_endpoint_group" "function" {
  for_each              = local.backends
  name                  = "lookalike-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.function[each.value.function].name
    tag     = each.value.tag
  }
}

resource "google_compute_backend_service" "function" {
  for_each              = local.backends
  name                  = "lookalike-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.lookalike[0].id
  # Responses depend on the caller and are not cached.
  enable_cdn = false

  backend {
    group = google_compute_region_network_endpoint_group.function[each.key].id
  }

  # Cloud Armor logs here what its rules reject, or would reject.
  log_config {
    enable      = true
    sample_rate = 1
  }
}

resource "google_compute_security_policy" "lookalike" {
  #checkov:skip=CKV_GCP_73:the rule cve-canary is here; the check knows only an older function of the language
  count       = local.one
  name        = "lookalike"
  description = "Rate limit for each address; preconfigured rules in preview"
  type        = "CLOUD_ARMOR"

  dynamic "rule" {
    for_each = local.armor_rules
    content {
      description = "${rule.value}, in preview"
      priority    = 1000 + rule.key
      action      = "deny(403)"
      preview     = true
      match {
        expr {
          expression = "evaluatePreconfiguredWaf('${rule.value}-v33-stable', {'sensitivity': 1})"
        }
      }
    }
  }

  # Log4j's vulnerability CVE-2021-44228. Nothing here uses Java, and no valid request contains its patterns.
  rule {
    description = "Scanners for known vulnerabilities"
    priority    = 1900
    action      = "deny(403)"
    match {
      expr {
        expression = "evaluatePreconfiguredWaf('cve-canary', {'sensitivity': 1})"
      }
    }
  }

  rule {
    description = "Limit for each address"
    priority    = 2000
    action      = "throttle"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
    rate_limit_options {
      conform_action = "allow"
      exceed_action  = "deny(429)"
      enforce_on_key = "IP"
      rate_limit_threshold {
        count        = var.requests_per_minute
        interval_sec = 60
      }
    }
  }

  rule {
    description = "Default"
    priority    = 2147483647
    action      = "allow"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_url_map" "lookalike" {
  count           = local.one
  name            = "lookalike"
  default_service = google_compute_backend_bucket.page[0].id

  # Browsers use HTTPS only from the second visit on.
  header_action {
    response_headers_to_add {
      header_name  = "Strict-Transport-Security"
      header_value = "max-age=31536000"
      replace      = true
    }
  }

  host_rule {
    hosts        = ["*"]
    path_matcher = "lookalike"
  }

  host_rule {
    hosts        = ["candidate.${var.domain}"]
    path_matcher = "candidate"
  }

  path_matcher {
    name            = "candidate"
    default_service = google_compute_backend_bucket.page[0].id

    dynamic "path_rule" {
      for_each = local.patterns
      content {
        paths   = path_rule.value
        service = google_compute_backend_service.function["candidate-${path_rule.key}"].id
      }
    }
  }

  path_matcher {
    name            = "lookalike"
    default_service = google_compute_backend_bucket.page[0].id

    path_rule {
      paths   = ["/widget/*"]
      service = google_compute_backend_bucket.widget[0].id
    }

    # Cloud CDN verifies the address as the client sends it. The object has the rest of the path as its name.
    path_rule {
      paths   = ["${local.pictures}/*"]
      service = google_compute_backend_bucket.thumbnails[0].id

      route_action {
        url_rewrite {
          path_prefix_rewrite = "/"
        }
      }
    }

    dynamic "path_rule" {
      for_each = local.patterns
      content {
        paths   = path_rule.value
        service = google_compute_backend_service.function[path_rule.key].id
      }
    }
  }
}

resource "google_compute_url_map" "redirect" {
  count = local.one
  name  = "lookalike-redirect"

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "PERMANENT_REDIRECT"
    strip_query            = false
  }
}

resource "google_compute_target_https_proxy" "lookalike" {
  count            = local.one
  name             = "lookalike"
  url_map          = google_compute_url_map.lookalike[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.lookalike[0].id]
  ssl_policy       = google_compute_ssl_policy.lookalike[0].id
}

resource "google_compute_target_http_proxy" "redirect" {
  count   = local.one
  name    = "lookalike-redirect"
  url_map = google_compute_url_map.redirect[0].id
}

resource "google_compute_global_forwarding_rule" "https" {
  for_each              = local.addresses
  name                  = "lookalike-https-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.lookalike[each.key].id
  port_range            = "443"
  target                = google_compute_target_https_proxy.lookalike[0].id
}

resource "google_compute_global_forwarding_rule" "redirect" {
  for_each              = local.addresses
  name                  = "lookalike-http-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  ip_address            = google_compute_global_address.lookalike[each.key].id
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect[0].id
}

output "address" {
  description = "Where the page and the API are: the domain, or the address of the function relay"
  value       = var.domain == "" ? google_cloud_run_v2_service.function["relay"].uri : "https://${var.domain}"
}

output "domain" {
  description = "The domain of the load balancer, or nothing"
  value       = var.domain
}

output "dns_records" {
  description = "Records that the domain needs. The certificate becomes valid up to an hour after they are visible"
  value = {
    for name, address in google_compute_global_address.lookalike :
    (address.ip_version == "IPV6" ? "AAAA" : "A") => address.address
  }
}

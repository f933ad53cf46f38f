# With a load balancer, the functions accept no requests from outside. A release reaches its new revisions, which have no
# traffic yet, through the load balancer by the host name candidate.DOMAIN. It needs no DNS record and no certificate: the
# release connects to DOMAIN and sends this name in the header Host. See infra/release.

resource "google_compute_region_network_endpoint_group" "candidate" {
  for_each              = local.balanced
  name                  = "lookalike-candidate-${each.key}"
  region                = var.region
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = google_cloud_run_v2_service.function[each.key].name
    tag     = "candidate"
  }
}

resource "google_compute_backend_service" "candidate" {
  for_each              = local.balanced
  name                  = "lookalike-candidate-${each.key}"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  protocol              = "HTTPS"
  security_policy       = google_compute_security_policy.lookalike[0].id
  enable_cdn            = false

  backend {
    group = google_compute_region_network_endpoint_group.candidate[each.key].id
  }

  log_config {
    enable      = true
    sample_rate = 1
  }
}

# The deployment in Google Cloud. `make deploy` prepares the project and applies this configuration, and cloudbuild.yaml
# applies it with every release.
# To apply it by hand, with gcloud and terraform installed:
#   terraform init -backend-config=bucket=PROJECT-lookalike-state
#   terraform apply -var=project=PROJECT -var=image=IMAGE -var=supabase_url=ADDRESS

terraform {
  required_version = "~> 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.20"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
  }

  backend "gcs" {
    prefix = "lookalike"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

variable "project" {
  description = "ID of the Google Cloud project"
  type        = string
}

variable "region" {
  description = "Region of all services and data"
  type        = string
  default     = "europe-west1"
}

variable "image" {
  description = "Image of all functions, from infra/docker/Dockerfile, with its digest"
  type        = string

  validation {
    condition     = strcontains(var.image, "@sha256:")
    error_message = "Set image to an image with its digest (…@sha256:…), so that the tested image is deployed."
  }
}

variable "supabase_url" {
  description = "URL of the Supabase project: https://….supabase.co"
  type        = string
}

variable "supabase_signs_hs256" {
  description = "Whether the Supabase project signs tokens with a shared secret (older projects) instead of published keys"
  type        = bool
  default     = false
}

variable "cors_origins" {
  description = "Origins of web pages that may call the API, separated by commas: https://shop.example"
  type        = string
  default     = ""
}

variable "rate_limit" {
  description = "Requests a minute from one address without a token or an API key; 0: no limit"
  type        = number
  default     = 120
}

variable "trusted_proxies" {
  description = "1 if a load balancer of your own is in front of the public functions, which then accept no other traffic. Set by domain"
  type        = number
  default     = 0
}

variable "database_tier" {
  description = "Machine type of the Cloud SQL instance: 2 CPUs and 7,680 MB of memory by default"
  type        = string
  default     = "db-custom-2-7680"
}

variable "database_disk_limit" {
  description = "GB to which the disk of the database may grow by itself. A disk cannot shrink"
  type        = number
  default     = 200
}

variable "high_availability" {
  description = "Whether the database has a standby in another zone that takes over. It doubles the price of the instance"
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether the database is protected against deletion. `make destroy` lifts it"
  type        = bool
  default     = true
}

data "google_project" "this" {}

output "services" {
  value = { for name, service in google_cloud_run_v2_service.function : name => service.uri }
}

# Input of smoke.sh: name, URL, and public or private, one service a line
output "smoke" {
  value = join("\n", [
    for name, function in local.functions :
    "${name} ${google_cloud_run_v2_service.function[name].uri} ${function.public ? "public" : "private"}"
  ])
}

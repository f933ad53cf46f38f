# The project in Google Cloud. Once, before all else: bootstrap.sh, which makes what this cannot make for itself.
# Then cloudbuild.yaml applies it with every build; by hand, with gcloud and terraform installed:
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
  type = string
}

variable "region" {
  type    = string
  default = "europe-west1"
}

variable "image" {
  description = "Made of infra/docker/Dockerfile, by digest: one for all functions"
  type        = string

  validation {
    condition     = strcontains(var.image, "@sha256:")
    error_message = "Name the image by its digest, so that what was tested is what runs."
  }
}

variable "supabase_url" {
  description = "The sign-in service: https://….supabase.co"
  type        = string
}

variable "supabase_signs_hs256" {
  description = "Whether the Supabase project still signs tokens with its shared secret; newer ones publish keys"
  type        = bool
  default     = false
}

variable "cors_origins" {
  description = "Pages that may call from elsewhere: https://shop.example, with commas"
  type        = string
  default     = ""
}

variable "trusted_proxies" {
  description = "1 where your load balancer stands before the public functions: nothing else reaches them then"
  type        = number
  default     = 0
}

variable "database_tier" {
  type    = string
  default = "db-custom-2-7680"
}

data "google_project" "this" {}

output "services" {
  value = { for name, service in google_cloud_run_v2_service.function : name => service.uri }
}

# Lines for smoke.sh: a service's name, its address, and whether the public may call it
output "smoke" {
  value = join("\n", [
    for name, function in local.functions :
    "${name} ${google_cloud_run_v2_service.function[name].uri} ${function.public ? "public" : "private"}"
  ])
}

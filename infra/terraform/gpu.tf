# The full models on GPUs, for a project that names an image for them: the functions that look at photos have an L4 each.

variable "gpu_image" {
  description = "Made of infra/docker/Dockerfile, target gpu, by digest; empty: built-in models, no GPU"
  type        = string
  default     = ""

  validation {
    condition     = var.gpu_image == "" || strcontains(var.gpu_image, "@sha256:")
    error_message = "Name the image by its digest, so that what was tested is what runs."
  }
}

variable "weights_baked" {
  description = "Whether the image holds the weights; otherwise instances pull them from the bucket of models as they start"
  type        = bool
  default     = false
}

locals {
  on_gpu = var.gpu_image == "" ? [] : [for name, one in local.functions : name if one.looks]

  # What Cloud Run asks for beside an L4, at least: 4 CPUs and 16 GiB. The weights, pulled, are files in this memory.
  l4_limits = {
    cpu              = "4"
    memory           = "16Gi"
    "nvidia.com/gpu" = "1"
  }

  gpu_environment = var.weights_baked ? {} : { MODELS_DIR = "gs://${var.project}-lookalike-models" }
}

# There from the first deployment on, so that it can be filled before instances with a GPU pull from it:
#   MODELS_DIR=gs://PROJECT-lookalike-models lookalike models fetch
resource "google_storage_bucket" "models" {
  name                        = "${var.project}-lookalike-models"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
}

resource "google_storage_bucket_iam_member" "models" {
  for_each = toset(local.on_gpu)
  bucket   = google_storage_bucket.models.name
  role     = "roles/storage.objectViewer"
  member   = google_service_account.function[each.key].member
}

# Full models on GPUs: if gpu_image is set, instances of the functions that use the models have an NVIDIA L4.

variable "gpu_image" {
  description = "Image of infra/docker/Dockerfile, target gpu, with its digest. Empty: built-in models, no GPU"
  type        = string
  default     = ""

  validation {
    condition     = var.gpu_image == "" || strcontains(var.gpu_image, "@sha256:")
    error_message = "Set gpu_image to an image with its digest (…@sha256:…), so that the tested image is deployed."
  }
}

variable "weights_baked" {
  description = "Whether the image contains the weights. Otherwise instances download them from the bucket of models at their start"
  type        = bool
  default     = false
}

locals {
  on_gpu = var.gpu_image == "" ? [] : [for name, function in local.functions : name if function.uses_models]

  # Cloud Run's minimum with an L4. Downloaded weights are files in this memory.
  l4_limits = {
    cpu              = "4"
    memory           = "16Gi"
    "nvidia.com/gpu" = "1"
  }

  gpu_environment = var.weights_baked ? {} : { MODELS_DIR = "gs://${var.project}-lookalike-models" }
}

# Created with the first deployment, so that the weights can be uploaded before GPU instances need them:
#   MODELS_DIR=gs://PROJECT-lookalike-models lookalike models fetch
resource "google_storage_bucket" "models" {
  #checkov:skip=CKV_GCP_62:published weights are no secret
  #checkov:skip=CKV_GCP_78:weights can be downloaded again, and each download is compared with a checksum
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

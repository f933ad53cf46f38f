"""Deploys to an empty Google Cloud project, and removes everything again. `python3 -m infra.deploy --help`.

Needs gcloud and Terraform, and of Python nothing but the standard library.
"""

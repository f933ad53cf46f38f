#!/bin/sh
# Create what Terraform and Cloud Build need. The owner of a project runs it once; running it again does no harm.
#   bootstrap.sh PROJECT [REGION]
set -eu
project=${1:?"usage: bootstrap.sh PROJECT [REGION]"}
region=${2:-europe-west1}
builder="lookalike-builder@$project.iam.gserviceaccount.com"
export CLOUDSDK_CORE_PROJECT="$project"

gcloud services enable artifactregistry.googleapis.com billingbudgets.googleapis.com cloudbuild.googleapis.com \
    cloudresourcemanager.googleapis.com cloudscheduler.googleapis.com cloudtrace.googleapis.com compute.googleapis.com \
    eventarc.googleapis.com iam.googleapis.com iamcredentials.googleapis.com logging.googleapis.com \
    monitoring.googleapis.com pubsub.googleapis.com run.googleapis.com secretmanager.googleapis.com \
    sqladmin.googleapis.com storage.googleapis.com telemetry.googleapis.com

# Terraform's state, with object versions, so that an overwritten state can be restored.
if ! gcloud storage buckets describe "gs://$project-lookalike-state" >/dev/null 2>&1; then
    gcloud storage buckets create "gs://$project-lookalike-state" --location="$region" \
        --uniform-bucket-level-access --public-access-prevention
    gcloud storage buckets update "gs://$project-lookalike-state" --versioning
fi

gcloud artifacts repositories describe lookalike --location="$region" >/dev/null 2>&1 ||
    gcloud artifacts repositories create lookalike --location="$region" --repository-format=docker

# Account that builds and deploys. It creates accounts and grants roles, so everyone who may start a build controls the project.
gcloud iam service-accounts describe "$builder" >/dev/null 2>&1 ||
    gcloud iam service-accounts create lookalike-builder --display-name="lookalike: builds and deploys"
for role in artifactregistry.writer cloudscheduler.admin cloudsql.admin compute.loadBalancerAdmin compute.securityAdmin \
    eventarc.admin iam.serviceAccountAdmin iam.serviceAccountUser logging.configWriter logging.logWriter monitoring.editor \
    pubsub.admin resourcemanager.projectIamAdmin run.admin secretmanager.admin storage.admin; do
    gcloud projects add-iam-policy-binding "$project" --member="serviceAccount:$builder" --role="roles/$role" \
        --condition=None >/dev/null
done

# Ask for Supabase's secrets and store them in Secret Manager. Only projects that still sign with HS256 need the second one.
for secret in lookalike-supabase-key lookalike-supabase-jwt-secret; do
    gcloud secrets describe "$secret" >/dev/null 2>&1 && continue
    printf 'Value of %s (empty: none): ' "$secret" >&2
    stty -echo 2>/dev/null || true
    IFS= read -r value
    stty echo 2>/dev/null || true
    echo >&2
    [ -z "$value" ] || printf %s "$value" | gcloud secrets create "$secret" --replication-policy=automatic --data-file=-
done

echo "Next: gcloud builds submit --project=$project --region=$region --substitutions=_REGION=$region,_SUPABASE_URL=https://…"

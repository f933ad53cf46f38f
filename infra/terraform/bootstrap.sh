#!/bin/sh
# Once for a project, by someone who owns it: what Terraform and Cloud Build need before they can run. May be repeated.
#   bootstrap.sh PROJECT [REGION]
set -eu
project=${1:?"usage: bootstrap.sh PROJECT [REGION]"}
region=${2:-europe-west1}
builder="lookalike-builder@$project.iam.gserviceaccount.com"
export CLOUDSDK_CORE_PROJECT="$project"

gcloud services enable artifactregistry.googleapis.com cloudbuild.googleapis.com cloudresourcemanager.googleapis.com \
    cloudscheduler.googleapis.com eventarc.googleapis.com iam.googleapis.com iamcredentials.googleapis.com \
    pubsub.googleapis.com run.googleapis.com secretmanager.googleapis.com sqladmin.googleapis.com storage.googleapis.com

# Terraform's state, kept in versions
if ! gcloud storage buckets describe "gs://$project-lookalike-state" >/dev/null 2>&1; then
    gcloud storage buckets create "gs://$project-lookalike-state" --location="$region" \
        --uniform-bucket-level-access --public-access-prevention
    gcloud storage buckets update "gs://$project-lookalike-state" --versioning
fi

gcloud artifacts repositories describe lookalike --location="$region" >/dev/null 2>&1 ||
    gcloud artifacts repositories create lookalike --location="$region" --repository-format=docker

# The account that builds and deploys. It makes accounts and grants rights, so whoever may start a build may do nearly all.
gcloud iam service-accounts describe "$builder" >/dev/null 2>&1 ||
    gcloud iam service-accounts create lookalike-builder --display-name="lookalike: builds and deploys"
for role in artifactregistry.writer cloudscheduler.admin cloudsql.admin eventarc.admin iam.serviceAccountAdmin \
    iam.serviceAccountUser logging.logWriter pubsub.admin resourcemanager.projectIamAdmin run.admin secretmanager.admin \
    storage.admin; do
    gcloud projects add-iam-policy-binding "$project" --member="serviceAccount:$builder" --role="roles/$role" \
        --condition=None >/dev/null
done

# Supabase's values are asked for, and go nowhere else. The second only for projects that still sign with HS256; else press return.
for secret in lookalike-supabase-key lookalike-supabase-jwt-secret; do
    gcloud secrets describe "$secret" >/dev/null 2>&1 && continue
    printf 'Value of %s: ' "$secret" >&2
    stty -echo 2>/dev/null || true
    IFS= read -r value
    stty echo 2>/dev/null || true
    echo >&2
    [ -z "$value" ] || printf %s "$value" | gcloud secrets create "$secret" --replication-policy=automatic --data-file=-
done

echo "Now: gcloud builds submit --project=$project --region=$region --substitutions=_REGION=$region,_SUPABASE_URL=https://…"

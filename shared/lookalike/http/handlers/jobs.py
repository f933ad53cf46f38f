"""Handlers that show, cancel and delete requests that run as jobs."""

from datetime import UTC, datetime

from lookalike.bootstrap import Services
from lookalike.http.request import ApiRequest
from lookalike.http.request_schemas import CleanupRequest, HandlerResult


def cancel_request(services: Services, request: ApiRequest) -> HandlerResult:
    """Cancel a running upload, split or search.

    The canceled request responds with the status `cancelled` and stores nothing.
    """
    job_id = request.path_parameters["id"]
    services.jobs.cancel_job(job_id, request.caller)
    return {"success": True, "status": "success", "message": f"Request {job_id} marked for cancellation"}


def get_request_status(services: Services, request: ApiRequest) -> HandlerResult:
    """Get the state of an upload, split or search."""
    job = services.jobs.get_job(request.path_parameters["id"], request.caller)
    finished = job.finished.isoformat() if job.finished else None
    times = {"created": job.created.isoformat(), "updated": job.updated.isoformat(), "finished": finished}
    state = {"status": str(job.status), "kind": job.kind, "stage": job.stage, "error_code": job.error}
    return {"success": True, **state, **times}


def list_recent_requests(services: Services, request: ApiRequest) -> HandlerResult:
    """List your recent requests, newest first.

    Without sign-in, these are the anonymous requests from your network address.
    """
    now = datetime.now(UTC).timestamp()
    requests = [
        {
            "id": job.id,
            "kind": job.kind,
            "status": str(job.status),
            "timestamp": job.created.timestamp(),
            "age": round(now - job.created.timestamp(), 3),
        }
        for job in services.jobs.list_jobs(request.caller)
    ]
    return {"success": True, "status": "success", "requests": requests}


def cleanup_requests(services: Services, request: ApiRequest) -> HandlerResult:
    """Delete your old requests.

    Deletes finished requests that are older than `max_age_seconds`. Only the records of the requests are deleted, not
    the garments that they stored.
    """
    count = services.jobs.delete_finished_jobs(request.caller, request.parse_body(CleanupRequest).max_age_seconds)
    return {"success": True, "status": "success", "message": f"Deleted {count} requests"}

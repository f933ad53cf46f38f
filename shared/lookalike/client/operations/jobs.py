"""Jobs: uploads, splits and searches that run, or ran."""

from lookalike.client import models
from lookalike.client.calls import Call, operation, quoted
from lookalike.client.operations.common import data, nothing, whole


class JobOperations:
    """Jobs: uploads, splits and searches that run, or ran."""

    @operation
    def cancel(self, request_id: str) -> Call[None]:
        """Cancel a running job. The call that waits for it raises `Cancelled`.

        Raises `NotFound` if there is no such job, or none yet, and `Conflict` if it has ended.
        """
        return Call("POST", f"/cancel_request/{quoted(request_id)}", nothing, is_idempotent=True)

    @operation
    def job(self, request_id: str) -> Call[models.Job]:
        """Get the state of a job."""
        return Call("GET", f"/request_status/{quoted(request_id)}", whole(models.Job))

    @operation
    def recent_jobs(self) -> Call[list[models.RecentJob]]:
        """List your recent jobs, newest first."""
        return Call("GET", "/request_status/recent", data(list[models.RecentJob], "requests"))

    @operation
    def delete_jobs(self, *, max_age_seconds: float = 3600) -> Call[None]:
        """Delete the records of your finished jobs that are older than this. Photos that they stored remain."""
        body = {"max_age_seconds": max_age_seconds}
        return Call("POST", "/cleanup_requests", nothing, body=body, is_idempotent=True)

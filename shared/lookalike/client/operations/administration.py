"""Operations for administrators: ingestion, index, duplicates and accounts."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from lookalike.client import models
from lookalike.client.calls import Call, PageCall, listing, operation
from lookalike.client.operations.common import data, page


class AdministrationOperations:
    """Operations for administrators: ingestion, index, duplicates and accounts."""

    @listing
    def ingestions(
        self,
        *,
        state: Literal["all", "done", "failed"] = "all",
        bucket: str | None = None,
        prefix: str = "",
        page_size: int = 100,
    ) -> PageCall[models.Ingestion]:
        """Iterate over ingested objects, newest first."""
        query = {"state": state, "bucket": bucket, "prefix": prefix, "limit": page_size}
        read = page(models.Ingestion)
        return lambda cursor: Call("GET", "/ingestions", read, query={**query, "cursor": cursor})

    @operation
    def retry_ingestions(
        self, names: Sequence[str] | None = None, *, prefix: str = "", limit: int = 100
    ) -> Call[models.IngestionRetry]:
        """Retry failed ingestions, newest first: of objects with these names, or of all."""
        body = {"names": None if names is None else list(names), "prefix": prefix, "limit": limit}
        return Call("POST", "/ingestions/retry", data(models.IngestionRetry), body=body)

    @operation
    def reindex(self, *, force: bool = False) -> Call[dict[str, Any] | None]:
        """Build and publish an index version if one is due, and clean up. `None` if none was due."""
        return Call(
            "POST",
            "/reindex",
            lambda response: json.loads(response)["data"],
            body={"force": force},
            is_idempotent=not force,
        )

    @listing
    def accounts(self, *, page_size: int = 100) -> PageCall[models.Account]:
        """Iterate over the accounts of all users."""
        read = page(models.Account)
        return lambda cursor: Call("GET", "/accounts", read, query={"limit": page_size, "cursor": cursor})

    @operation
    def rebuild(self) -> Call[models.RequestedRebuild]:
        """Rebuild the index. In the cloud, the next call of the schedule does it: follow the request with `job`."""
        return Call("POST", "/index_versions/rebuild", data(models.RequestedRebuild))

    @listing
    def duplicates(
        self,
        *,
        state: Literal["open", "accepted", "rejected", "all"] = "open",
        include: Literal["thumbnail", "url", "none"] = "none",
        page_size: int = 20,
    ) -> PageCall[models.DuplicateGroup]:
        """Iterate over groups of garments that are copies of each other."""
        query = {"state": state, "include": include, "limit": page_size}
        read = page(models.DuplicateGroup, cursor="next_cursor")
        return lambda cursor: Call("GET", "/duplicates", read, query={**query, "cursor": cursor})

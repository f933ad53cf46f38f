"""Searches, and the search history."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Unpack

from lookalike.client import models
from lookalike.client.calls import Call, JobOptions, OnProgress, PageCall, listing, operation, quoted
from lookalike.client.operations.common import data, job_options, nothing, page, whole
from lookalike.client.search_bodies import Photo, Query, SearchOptions, read_photo, search_body

T = TypeVar("T")


def search_call(
    parse: Callable[[bytes], T], query: Query | Sequence[Query], options: Mapping[str, Any], job: JobOptions
) -> Call[T]:
    """Build the request of a search, as JSON or, with photos, as a form."""
    body, photos = search_body(query, options)
    form = {"request": json.dumps(body)} if photos else {}
    json_body = None if photos else body
    return Call("POST", "/search", parse, body=json_body, form=form, files=photos, is_idempotent=True, job=job)


class SearchOperations:
    """Searches, and the search history."""

    @operation
    def search(
        self,
        query: Query | Sequence[Query] = (),
        *,
        limit: int = 10,
        segment: bool = False,
        facets: Sequence[str] = (),
        cursor: str | None = None,
        request_id: str | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[SearchOptions],
    ) -> Call[models.SearchResult]:
        """Search by photos, stored garments and words, alone or together, and return one page of matches.

        With `segment`, the garments of the only photo are detected, and each is searched for.
        """
        fields = {"limit": limit, "segment": segment, "facets": list(facets), "cursor": cursor, **options}
        job = job_options(request_id, on_progress)
        return search_call(whole(models.SearchResult), query, fields, job)

    @listing
    def matches(
        self, query: Query | Sequence[Query] = (), *, page_size: int = 50, **options: Unpack[SearchOptions]
    ) -> PageCall[models.Match]:
        """Iterate over all matches of a search, best first. Each page is a search of its own."""
        read = page(models.Match, "results", "next_cursor")
        fields = {"limit": page_size, **options}
        return lambda cursor: search_call(read, query, {**fields, "cursor": cursor}, job_options())

    @operation
    def split(
        self,
        photo: Photo,
        *,
        force_process: bool = True,
        request_id: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Call[models.SplitPhoto]:
        """Cut out the garments of a photo without storing anything.

        If none is found, the result is the whole photo, or with `force_process=False` nothing.
        """
        return Call(
            "POST",
            "/split_image",
            whole(models.SplitPhoto),
            form={"force_process": str(force_process).lower()},
            files={"image": read_photo(photo)},
            is_idempotent=True,
            job=job_options(request_id, on_progress),
        )

    @listing
    def history(self, *, page_size: int = 100) -> PageCall[models.SearchSummary]:
        """Iterate over your own searches, newest first."""
        read = page(models.SearchSummary, "data", "before")
        return lambda before: Call("GET", "/search_history", read, query={"limit": page_size, "before": before})

    @operation
    def get_search(self, search_id: str) -> Call[models.PastSearch]:
        """Get one of your searches with its matches."""
        return Call("GET", f"/search_history/{quoted(search_id)}", data(models.PastSearch))

    @operation
    def delete_search(self, search_id: str) -> Call[None]:
        """Delete one of your searches."""
        return Call("DELETE", f"/search_history/{quoted(search_id)}", nothing)

    @operation
    def delete_history(self) -> Call[None]:
        """Delete all your searches."""
        return Call("DELETE", "/search_history", nothing)

    @operation
    def choose(self, search_id: str, garment: int | str) -> Call[models.Feedback]:
        """Say which result of one of your searches you chose. Sending it twice changes nothing."""
        body = {"search_id": search_id, "id": garment}
        return Call("POST", "/feedback", data(models.Feedback), body=body, is_idempotent=True)

"""Stored photos, garments and their product details."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from lookalike.client import models
from lookalike.client.calls import Call, OnProgress, operation, quoted
from lookalike.client.operations.common import data, job_options, nothing
from lookalike.client.search_bodies import Photo, read_photo


class CatalogOperations:
    """Stored photos, garments and their product details."""

    @operation
    def upload(
        self,
        photo: Photo,
        *,
        name: str | None = None,
        force_process: bool = True,
        request_id: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Call[models.UploadedPhoto | None]:
        """Store the garments of a photo.

        `name` defaults to a new UUID. If no garment is found, the whole photo is stored, or with `force_process=False`
        nothing, and the result is `None`. The same photo may be sent again under its name: nothing is stored twice.
        """
        # The name is chosen here and not by the server, so that the request can be repeated.
        form = {"image_name": name or str(uuid4()), "force_process": str(force_process).lower()}
        job = job_options(request_id, on_progress)
        files = {"image": read_photo(photo)}
        return Call("POST", "/upload_image", _read_upload, form=form, files=files, is_idempotent=True, job=job)

    @operation
    def garment(self, garment: int | str) -> Call[models.StoredGarment]:
        """Get a stored garment by its name or row number."""
        return Call("GET", f"/splitted_images/{quoted(garment)}", data(models.StoredGarment))

    @operation
    def garments_of_photo(self, photo: str) -> Call[list[models.StoredGarment]]:
        """List the stored garments of a photo."""
        return Call("GET", f"/splitted_images/by_original/{quoted(photo)}", data(list[models.StoredGarment]))

    @operation
    def thumbnail(self, garment: int | str) -> Call[bytes]:
        """Get the thumbnail of a garment, as JPEG or PNG."""
        return Call("GET", f"/thumbnails/{quoted(garment)}", bytes)

    @operation
    def update_garment(self, garment: int | str, changes: Mapping[str, Any]) -> Call[models.StoredGarment]:
        """Change the `bounding_box`, `label` or `score` of a garment. `None` removes a value."""
        return Call("PUT", f"/splitted_images/{quoted(garment)}", data(models.StoredGarment), body=dict(changes))

    @operation
    def delete_garment(self, garment: int | str) -> Call[models.Receipt]:
        """Erase a garment."""
        return Call("DELETE", f"/splitted_images/{quoted(garment)}", data(models.Receipt))

    @operation
    def delete_photo(self, photo: str) -> Call[models.Receipt]:
        """Erase a photo with all its garments."""
        return Call("DELETE", f"/splitted_images/by_original/{quoted(photo)}", data(models.Receipt))

    @operation
    def erase_matching(self, conditions: Mapping[str, Any], *, dry_run: bool = False) -> Call[models.Receipt]:
        """Erase all garments that satisfy a filter. With `dry_run`, only count them."""
        body = {"filter": dict(conditions), "dry_run": dry_run}
        return Call("POST", "/erase", data(models.Receipt), body=body, is_idempotent=True)

    @operation
    def erase_user(self, owner: str, *, dry_run: bool = False) -> Call[models.Receipt]:
        """Erase the uploads, searches and requests of a user. With `dry_run`, only count them."""
        body = {"owner": owner, "dry_run": dry_run}
        return Call("POST", "/erase", data(models.Receipt), body=body, is_idempotent=True)

    @operation
    def details(self, garment: int | str) -> Call[models.ProductDetails]:
        """Get the product details of a garment, or of its photo if it has none of its own."""
        read, body = data(models.ProductDetails, "message"), {"splitted_image_id": garment}
        return Call("POST", "/image_detail", read, body=body, is_idempotent=True)

    @operation
    def put_details(self, name: str, details: Mapping[str, Any]) -> Call[models.ProductDetails]:
        """Set the product details of a photo or a garment. All stored ones are replaced."""
        return Call("PUT", f"/image_detail/{quoted(name)}", data(models.ProductDetails), body=dict(details))

    @operation
    def merge(self, first: int | str, second: int | str) -> Call[models.Receipt]:
        """Merge two copies of a garment: keep the better picture and erase the other garment."""
        return Call("POST", "/duplicates/merge", data(models.Receipt), body={"garments": [first, second]})

    @operation
    def decide(self, garments: Sequence[int | str], decision: str) -> Call[None]:
        """Decide whether two garments are copies: `accepted`, `rejected`, or `open` to remove a decision."""
        return Call("PUT", "/duplicates/decisions", nothing, body={"garments": list(garments), "decision": decision})


def _read_upload(body: bytes) -> models.UploadedPhoto | None:
    found = json.loads(body).get("data")
    return None if found is None else models.UploadedPhoto.model_validate(found)

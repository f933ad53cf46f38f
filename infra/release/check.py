"""Real requests to a deployment: an upload, a search that finds it, and its deletion."""

import base64
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.release.http import Address, RequestFailed, call
from infra.release.photo import draw_photo

NAME_PREFIX = "release-check-"
"""Start of the names of photos of checks, by which a left-over one is recognized."""
MIN_SIMILARITY = 0.98


class CheckFailed(Exception):
    """A deployment did not do what it must."""


@dataclass(frozen=True)
class Check:
    """Checks the functions at these addresses, by name. `key` is an API key for administrators; empty: searches only."""

    addresses: Mapping[str, Address]
    key: str = ""
    fallback: Address | None = None
    """Where garments are deleted if the checked functions cannot do so."""

    def run(self) -> str:
        """Return what was checked. Deletes the photo in any case. Raises `CheckFailed`."""
        photo, name = base64.b64encode(draw_photo()).decode(), NAME_PREFIX + uuid.uuid4().hex[:12]
        try:
            return self._run(photo, name)
        except RequestFailed as error:
            raise CheckFailed(str(error)) from error

    def search(self, photo: str = "") -> list[dict[str, Any]]:
        """Return the results of a search by a photo in base64, by default a new one."""
        body = {"image_base64": photo or base64.b64encode(draw_photo()).decode(), "num": 3, "include": "none"}
        answer = call("POST", self.addresses["relay"], "/relay_image", body, self._headers)
        results: list[dict[str, Any]] = answer["results"]
        return results

    def _run(self, photo: str, name: str) -> str:
        started = time.monotonic()
        if not self.key:
            found = len(self.search(photo))
            return f"a search found {found} garments (no API key: nothing was uploaded)"
        garments = self._upload(photo, name)
        problems = self._problems(photo, garments)
        problems += [problem for garment in garments if (problem := self._delete(garment))]
        if problems:
            raise CheckFailed("; ".join(problems))
        left = {result["splitted_image_id"] for result in self.search(photo)} & {*garments}
        if left:
            raise CheckFailed(f"The search still finds {sorted(left)}, which was deleted")
        seconds = time.monotonic() - started
        return f"a photo was uploaded, found, and deleted ({len(garments)} garments, {seconds:.1f} s)"

    def _upload(self, photo: str, name: str) -> list[str]:
        body = {"image_base64": photo, "image_name": name, "force_process": True}
        answer = call("POST", self.addresses["upload"], "/upload_image", body, self._headers)
        garments = [segment["splitted_image_id"] for segment in answer["data"]["segments"]]
        if not garments:
            raise CheckFailed(f"The upload of {name} stored no garment")
        return garments

    def _problems(self, photo: str, garments: list[str]) -> list[str]:
        """Return what is wrong with the functions other than upload and deletion. The photo is still stored."""
        try:
            self._must_find(photo, garments)
            for function, path in (("cancel", "/jobs"), ("auth", "/api_keys")):
                call("GET", self.addresses[function], path, None, self._headers)
        except (CheckFailed, RequestFailed) as error:
            return [str(error)]
        return []

    def _must_find(self, photo: str, garments: list[str]) -> None:
        # The query is cut like the stored photo, so that the vectors are equal.
        body = {"image_base64": photo, "num": 3, "include": "none", "segment": True}
        results = call("POST", self.addresses["relay"], "/relay_image", body, self._headers)["results"]
        best = results[0] if results else {}
        if best.get("splitted_image_id") not in garments or best["similarity"] < MIN_SIMILARITY:
            shown = f"{best['splitted_image_id']} ({best['similarity']:.3f})" if best else "nothing"
            raise CheckFailed(f"The search for the uploaded photo found {shown} instead of {garments[0]}")

    def _delete(self, garment: str) -> str:
        """Delete a garment, if need be by the revision that serves. Returns what was wrong, or an empty string."""
        path = f"/splitted_images/{garment}"
        try:
            call("DELETE", self.addresses["detail"], path, None, self._headers)
        except RequestFailed as error:
            if self.fallback is None:
                return f"{error}. Delete {garment} by hand"
            call("DELETE", self.fallback, path, None, self._headers)
            return f"{error}. The serving revision deleted {garment}"
        return ""

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

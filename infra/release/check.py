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
KEY_ADVICE = ". If the API key was revoked or its signing key replaced, `gcloud run jobs execute lookalike-release-key` makes another"


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
        return self._results(body)

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
        left = {*garments} & {result.get("splitted_image_id") for result in self.search(photo)}
        if left:
            raise CheckFailed(f"The search still finds {sorted(left)}, which was deleted")
        seconds = time.monotonic() - started
        return f"a photo was uploaded, found, and deleted ({len(garments)} garments, {seconds:.1f} s)"

    def _upload(self, photo: str, name: str) -> list[str]:
        body = {"image_base64": photo, "image_name": name, "force_process": True}
        try:
            answer = self._call("POST", "upload", "/upload_image", body)
            garments = [_read(segment, "splitted_image_id") for segment in _read(answer, "data", "segments")]
        except (CheckFailed, RequestFailed) as error:
            raise CheckFailed(f"{error}{self._advice(error)}{self._delete_left(name)}") from error
        if not garments:
            raise CheckFailed(f"The upload of {name} stored no garment")
        return garments

    def _problems(self, photo: str, garments: list[str]) -> list[str]:
        """Return what is wrong with the functions other than upload and deletion. The photo is still stored."""
        try:
            self._must_find(photo, garments)
            for function, path in (("cancel", "/jobs"), ("auth", "/api_keys")):
                self._call("GET", function, path)
        except (CheckFailed, RequestFailed) as error:
            return [str(error)]
        return []

    def _must_find(self, photo: str, garments: list[str]) -> None:
        # The query is cut like the stored photo, so that the vectors are equal.
        body = {"image_base64": photo, "num": 3, "include": "none", "segment": True}
        results = self._results(body)
        best = results[0] if results else {}
        garment, similarity = best.get("splitted_image_id"), best.get("similarity", 0.0)
        if garment not in garments or similarity < MIN_SIMILARITY:
            shown = f"{garment} ({similarity:.3f})" if best else "nothing"
            raise CheckFailed(f"The search for the uploaded photo found {shown} instead of {garments[0]}")

    def _results(self, body: Any) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = _read(self._call("POST", "relay", "/relay_image", body), "results")
        return results

    def _delete(self, garment: str) -> str:
        """Delete a garment, if need be by the revision that serves. Returns what was wrong, or an empty string."""
        path = f"/splitted_images/{garment}"
        try:
            self._call("DELETE", "detail", path)
        except RequestFailed as error:
            if self.fallback is None:
                return f"{error}. Delete {garment} by hand"
            return f"{error}. {self._delete_by_fallback(garment, path)}"
        return ""

    def _delete_by_fallback(self, garment: str, path: str) -> str:
        assert self.fallback is not None
        try:
            call("DELETE", self.fallback, path, None, self._headers)
        except RequestFailed as error:
            return f"Nor could the serving revision: {error}. Delete {garment} by hand"
        return f"The serving revision deleted {garment}"

    def _delete_left(self, name: str) -> str:
        """Delete what an upload has stored whose response was an error or did not arrive. Returns a text about it."""
        address = self.fallback or self.addresses.get("detail")
        if address is None:
            return ""
        try:
            call("DELETE", address, f"/splitted_images/by_original/{name}", None, self._headers)
        except RequestFailed as error:
            return "" if error.status in (401, 403, 404) else f". If it stored {name}, delete that by hand"
        return f". It had stored {name}, which was deleted"

    def _advice(self, error: Exception) -> str:
        return KEY_ADVICE if getattr(error, "status", 0) in (401, 403) else ""

    def _call(self, method: str, function: str, path: str, body: Any = None) -> Any:
        if function not in self.addresses:
            raise CheckFailed(f"The function {function} does not exist. Deploy it first")
        return call(method, self.addresses[function], path, body, self._headers)

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def _read(answer: Any, *names: str) -> Any:
    """Return a field of a response, by its path. Raises `CheckFailed` if the response has another form."""
    for name in names:
        if not isinstance(answer, dict) or name not in answer:
            raise CheckFailed(f"A response has no field {'.'.join(names)}: {str(answer)[:100]}")
        answer = answer[name]
    return answer

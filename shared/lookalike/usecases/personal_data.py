"""Personal data: exports everything that is kept of a user, and erases it together with the account."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from lookalike.domain.errors import Misconfigured
from lookalike.domain.history import PastSearch
from lookalike.domain.model import Caller, JobStatus, Segment
from lookalike.domain.personal_data import OwnedPhoto
from lookalike.domain.ports import Accounts, Catalog, Clock, History, ObjectStore
from lookalike.domain.product_edits import ProductEdit
from lookalike.usecases.deferred_writes import DeferredWrites
from lookalike.usecases.erase import Erase, Receipt
from lookalike.usecases.history import MAX_SEARCHES_PER_USER
from lookalike.usecases.revoked_tokens import RevokedTokens
from lookalike.usecases.segment_images import image_urls
from lookalike.usecases.sign_in import SignIn
from lookalike.usecases.thread_pool import map_concurrently

PAGE_SIZE = 100
MAX_JOBS = 100_000
"""Jobs of one user in an export. Finished jobs are kept for seven days."""
JOB_WAIT_SECONDS, POLL_SECONDS = 10.0, 0.1
"""How long an erasure waits for canceled jobs to end, and how often it looks."""


@dataclass(frozen=True, slots=True)
class PersonalDataExport:
    """Everything that is kept of a user, as JSON values. Iterators read the database as they are consumed."""

    exported_at: datetime
    account: Mapping[str, object]
    sessions: int | None
    """Number of valid refresh tokens, `None` if the sign-in service does not tell."""
    photos: Iterator[dict[str, Any]]
    searches: Iterator[dict[str, Any]]
    jobs: Iterator[dict[str, Any]]
    edits: Iterator[dict[str, Any]]
    """Fields of products that the user set, as an administrator."""


@dataclass(frozen=True, slots=True)
class AccountReceipt:
    """Receipt of the erasure of a user, and what became of the account."""

    receipt: Receipt
    is_account_deleted: bool
    message: str
    """Outcome for the account, and what to do if it is kept."""


@dataclass(frozen=True, slots=True)
class PersonalData:
    """Export and erasure of the data of one user."""

    catalog: Catalog
    history: History
    store: ObjectStore
    accounts: Accounts
    sign_in: SignIn
    erasure: Erase
    revoked: RevokedTokens
    deferred: DeferredWrites
    clock: Clock

    def export(self, caller: Caller, access_token: str, links: bool) -> PersonalDataExport:
        """Return everything that is kept of a signed-in user. `links` adds signed addresses of images.

        Raises `Unauthenticated`, `Unavailable`; iterators also raise `Unavailable`.
        """
        user = _user_id(caller)
        self.deferred.wait()
        record = self.accounts.account_record(access_token)
        role = "admin" if caller.is_admin else "user"
        # A token of the command line belongs to no account.
        account = record.fields if record else {"id": user, "email": caller.email, "role": role}
        return PersonalDataExport(
            self.clock(),
            account,
            record.sessions if record else None,
            self._photos(user, links),
            self._searches(user),
            (_without_none(asdict(job)) for job in self.catalog.list_jobs(Caller(user), MAX_JOBS)),
            (_edit(product, edit) for product, edit in self.catalog.edits_of_editor(user)),
        )

    def erase(self, caller: Caller, password: str, access_token: str) -> AccountReceipt:
        """Erase everything that is kept of a signed-in user, then the account.

        The password is the proof that the caller is not somebody with a stolen access token. Raises `Unauthenticated`,
        `TooManyAttempts`, `Unavailable`.
        """
        user = _user_id(caller)
        self.sign_in.confirm(user, caller.email, password, caller.address)
        self._cancel_jobs(user)
        receipt = self.erasure.erase_owner(user)
        if receipt.remaining:
            return AccountReceipt(receipt, False, "The account is kept until everything else is erased")
        # The refresh tokens first: otherwise one of them could be exchanged for an access token issued later.
        self.accounts.sign_out(access_token)
        self.revoked.revoke(user)
        return self.delete_account(user, receipt)

    def delete_account(self, user: str, receipt: Receipt) -> AccountReceipt:
        """Delete the account of a user whose data is erased."""
        try:
            existed = self.accounts.delete_account(user)
        except Misconfigured as error:
            message = (
                f"All sessions are ended, but the sign-in service keeps the account and its email address: "
                f"an operator deletes it with `lookalike erase --owner {user} --account` ({error.message})"
            )
            return AccountReceipt(receipt, False, message)
        return AccountReceipt(receipt, True, "The account is deleted" if existed else "There was no account")

    def _cancel_jobs(self, user: str) -> None:
        """Cancel the user's running jobs and wait until they end, so that none of them stores data afterwards."""
        deadline = time.monotonic() + JOB_WAIT_SECONDS
        while running := [job.id for job in self.catalog.list_jobs(Caller(user)) if job.status is JobStatus.PROCESSING]:
            for job_id in running:
                self.catalog.request_cancel(job_id)
            if time.monotonic() > deadline:
                # A killed process leaves a job that never ends. The clean-up marks it as failed later.
                return
            time.sleep(POLL_SECONDS)

    def _photos(self, user: str, links: bool) -> Iterator[dict[str, Any]]:
        after = ""
        while page := self.catalog.photos_of_owner(user, after, PAGE_SIZE):
            after = page[-1].photo.name
            segments = {owned.photo.name: self.catalog.segments_of_photo(owned.photo.name) for owned in page}
            names = [name for photo, garments in segments.items() for name in (photo, *(one.name for one in garments))]
            details = {name: _without_none(asdict(found)) for name, found in self.catalog.details(names).items()}
            signed = self._links(page, segments) if links else {}
            for owned in page:
                yield _photo(owned, segments[owned.photo.name], details, signed)

    def _links(self, page: list[OwnedPhoto], segments: Mapping[str, list[Segment]]) -> dict[str, dict[str, str]]:
        """Return the signed addresses of photos and garments by their names."""
        photos = [owned.photo for owned in page if owned.photo.path]
        garments = [garment for found in segments.values() for garment in found]
        # in parallel: on Cloud Run, each signature is a request
        urls = map_concurrently(lambda photo: {"url": self.store.url(photo.path or "")}, photos)
        garment_urls = map_concurrently(lambda garment: image_urls(self.store, garment), garments)
        by_photo = {photo.name: url for photo, url in zip(photos, urls, strict=True)}
        return by_photo | {garment.name: url for garment, url in zip(garments, garment_urls, strict=True)}

    def _searches(self, user: str) -> Iterator[dict[str, Any]]:
        for listed in self.history.list_searches(user, MAX_SEARCHES_PER_USER):
            # None: deleted since it was listed
            if search := self.history.get_search(user, listed.id):
                yield _search(search)


def _user_id(caller: Caller) -> str:
    assert caller.user is not None, "only for routes that require a user"
    return caller.user


def _photo(
    owned: OwnedPhoto,
    segments: list[Segment],
    details: Mapping[str, dict[str, Any]],
    links: Mapping[str, dict[str, str]],
) -> dict[str, Any]:
    photo = owned.photo
    fields = _without_none(asdict(photo)) | {"created": owned.created.isoformat(), **links.get(photo.name, {})}
    garments = []
    for segment in segments:
        garment = {**_without_none(asdict(segment)), "box": segment.box.as_list() if segment.box else None}
        garments.append(garment | _details_field(details, segment.name) | links.get(segment.name, {}))
    return {**fields, **_details_field(details, photo.name), "garments": garments}


def _details_field(details: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    return {"details": details[name]} if name in details else {}


def _search(search: PastSearch) -> dict[str, Any]:
    hits = [{"garment": hit.garment_index, "id": hit.row_id, "similarity": hit.similarity} for hit in search.hits]
    choices = [{"id": choice.row_id, "chosen_at": choice.chosen_at.isoformat()} for choice in search.choices]
    searched_at = search.searched_at.isoformat()
    return {
        "search_id": search.id,
        "searched_at": searched_at,
        "request": dict(search.request),
        "hits": hits,
        "choices": choices,
        **_photo_vectors(search),
    }


def _photo_vectors(search: PastSearch) -> dict[str, Any]:
    vectors = search.photo_vectors
    if vectors is None:
        return {}
    values = [vectors.decode(number).tolist() for number in range(len(vectors.encoded))]
    return {"photo_vectors": {"embedder": vectors.embedder, "vectors": values}}


def _edit(product: str, edit: ProductEdit) -> dict[str, Any]:
    fields = {"product": product, "field": edit.field, "at": edit.at, "email": edit.editor_name}
    return _without_none(fields)


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out unknown values, and write times in the format of JSON."""
    known = {name: value for name, value in fields.items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in known.items()}

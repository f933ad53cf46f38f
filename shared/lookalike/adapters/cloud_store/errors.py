"""Translation of Google's errors to domain errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from lookalike.domain.errors import Conflict, LookalikeError, NotFound, Unavailable


@contextmanager
def translate_errors(bucket: str, path: str, permission: str) -> Iterator[None]:
    """Raise domain errors in place of Google's. `permission` is the one the call needs, for the message."""
    try:
        yield
    except LookalikeError:
        raise
    except Exception as error:
        translated = _translate(error, bucket, path, permission)
        if translated is None:
            raise
        raise translated from error


def is_missing_bucket(error: Exception) -> bool:
    """Return whether a 404 is about the bucket instead of the object. Only the message distinguishes them."""
    return "bucket does not exist" in str(error)


def _translate(error: Exception, bucket: str, path: str, permission: str) -> LookalikeError | None:
    from google.api_core import exceptions as api
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption
    from urllib3.exceptions import HTTPError

    if isinstance(error, api.NotFound):
        if is_missing_bucket(error):
            return Unavailable(f"The bucket {bucket} does not exist: create it, or correct its name in the settings")
        return NotFound(f"The object {path} does not exist")
    if isinstance(error, api.PreconditionFailed):
        return Conflict(f"{path} was changed by another writer")
    if isinstance(error, api.Forbidden):
        denied = re.search(r"storage\.(objects|buckets|managedFolders)\.\w+", str(error))
        missing = denied.group() if denied else permission
        return Unavailable(f"The service account lacks the permission {missing} on the bucket {bucket}")
    if isinstance(error, api.Unauthorized | GoogleAuthError):
        return Unavailable(
            f"Google credentials are missing or not accepted for {permission}: sign in with `gcloud auth "
            "application-default login`, or run as a service account"
        )
    if isinstance(error, DataCorruption):
        return Unavailable(f"{path} was received with a wrong checksum")
    if isinstance(error, api.GoogleAPIError | HTTPError | HTTPException | OSError):
        return Unavailable("Cloud Storage cannot be reached or fails")
    return None

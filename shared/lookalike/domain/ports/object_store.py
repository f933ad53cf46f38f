"""Port of the object store: image files and index files, in a bucket or in a directory."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from lookalike.domain.model import StoredObject


class ObjectStore(Protocol):
    """Byte strings by path, with optimistic locking.

    A generation is a positive number that changes with every write of a path. Every method raises `InvalidField` for an
    invalid path (see `domain.paths`), and `Unavailable` if the storage cannot be reached.
    """

    is_remote: bool
    """Whether each call takes a round trip over a network, so that several small reads should run at once."""

    def put(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        """Write an object if its current generation is `if_generation`. 0 means that the object must not exist yet.

        Raises `Conflict` if the generation is another one. Creating an object that exists with the same bytes succeeds,
        so that a create can be retried after a lost response.
        """
        ...

    def put_temporary(self, path: str, data: bytes, content_type: str, if_generation: int = 0) -> StoredObject:
        """Write an object like `put`, faster where durability takes time: a power failure can lose or truncate it."""
        ...

    def get(self, path: str) -> bytes:
        """Return the content of an object. Raises `NotFound`."""
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """Stream the content of an object that may be too large for memory.

        Raises `NotFound`, and `Unavailable` also in mid-stream.
        """
        ...

    def write(self, path: str, chunks: Iterable[bytes], content_type: str) -> StoredObject:
        """Create an object from a stream. It becomes visible only when it is complete.

        Raises `Conflict` if the object exists. An exception raised by `chunks` aborts the write and passes through.
        """
        ...

    def stat(self, path: str) -> StoredObject | None:
        """Return the metadata of an object, or `None` if it does not exist."""
        ...

    def list(self, prefix: str = "") -> Iterable[StoredObject]:
        """Return the objects whose paths start with `prefix`, ordered by path."""
        ...

    def delete(self, path: str, if_generation: int | None = None) -> bool:
        """Delete an object. Returns whether it existed.

        Raises `Conflict` if `if_generation` is given and differs from the object's generation.
        """
        ...

    def url(self, path: str, expires_in: int = 3600) -> str:
        """Return a signed URL that serves the object without further authentication for `expires_in` seconds."""
        ...

"""Descriptions of requests, and decorators that turn functions that build them into methods of both clients.

Each operation is written once, as a function that returns a `Call`. `Client.send` returns its result, and
`AsyncClient.send` a coroutine of it.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload
from urllib.parse import quote

from lookalike.client.models import Job

P = ParamSpec("P")
T = TypeVar("T")
IDEMPOTENT_METHODS = frozenset({"GET", "PUT", "DELETE"})
OnProgress = Callable[[Job], None]
"""Is called with the state of a running job, each time that its stage has changed."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Id and callback of a request that runs as a job, which can be followed and canceled."""

    request_id: str
    on_progress: OnProgress | None = None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request, and how its response is read."""

    method: str
    path: str
    parse: Callable[[bytes], T]
    """Turns the body of a successful response into the result."""
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    """The JSON body."""
    form: Mapping[str, str] = field(default_factory=dict)
    """Fields of a form, which is sent if there are `files`."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    is_idempotent: bool = False
    """Whether it may be sent again, although its method is POST."""
    job: JobOptions | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Whether sending it twice has the same effect as sending it once."""
        return self.is_idempotent or self.method in IDEMPOTENT_METHODS


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items of a list, and the cursor of the next page; `None` on the last one."""

    items: list[T]
    cursor: str | None


def quoted(name: int | str) -> str:
    """Return a name as part of a path."""
    return quote(str(name), safe="")


PageCall = Callable[[str | None], Call[Page[T]]]
"""Builds the request for the page at a cursor; `None` for the first."""


class SyncSender(Protocol):
    """Sends calls and waits for the results."""

    def send(self, call: Call[T]) -> T:
        """Send a call and return its result."""
        ...

    def iterate(self, page_call: PageCall[T]) -> Iterator[T]:
        """Yield the items of all pages, each requested when it is needed."""
        ...


class AsyncSender(Protocol):
    """Sends calls in coroutines."""

    async def send(self, call: Call[T]) -> T:
        """Send a call and return its result."""
        ...

    def iterate(self, page_call: PageCall[T]) -> AsyncIterator[T]:
        """Yield the items of all pages, each requested when it is needed."""
        ...


class operation(Generic[P, T]):  # noqa: N801 - a decorator
    """Turns a function that builds a call into a method that sends it."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self._build = build
        self.__doc__, self.__name__ = build.__doc__, build.__name__

    @overload
    def __get__(self, client: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(self, client: SyncSender, owner: Any = None) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncSender, owner: Any = None) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: Any = None) -> Any:
        """Return the method of a client."""
        if client is None:
            return self

        @wraps(self._build)
        def send(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.send(self._build(client, *args, **kwargs))

        return send


class listing(Generic[P, T]):  # noqa: N801 - a decorator
    """Turns a function that builds the calls for pages into a method that iterates over their items."""

    def __init__(self, build: Callable[Concatenate[Any, P], PageCall[T]]) -> None:
        self._build = build
        self.__doc__, self.__name__ = build.__doc__, build.__name__

    @overload
    def __get__(self, client: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(self, client: SyncSender, owner: Any = None) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncSender, owner: Any = None) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, client: Any, owner: Any = None) -> Any:
        """Return the method of a client."""
        if client is None:
            return self

        @wraps(self._build)
        def iterate(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.iterate(self._build(client, *args, **kwargs))

        return iterate

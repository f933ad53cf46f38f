"""A property that is computed on first access, once per object, also under concurrent requests."""

import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, overload

T = TypeVar("T")


class HasLazyProperties(Protocol):
    """Attributes that `lazy` needs on an object: a reentrant lock, and a dictionary for the computed values."""

    lock: threading.RLock
    lazy_values: dict[str, Any]


class lazy(Generic[T]):  # noqa: N801 - used as a decorator
    """Compute a property on first access and keep the value.

    Unlike `functools.cached_property`, the first access holds a lock: concurrent first requests build one database
    engine and load one set of models. The lock is reentrant because one property often needs another.
    """

    def __init__(self, build: Callable[[Any], T]) -> None:
        self._build, self._name = build, build.__name__
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "lazy[T]": ...
    @overload
    def __get__(self, instance: HasLazyProperties, owner: type) -> T: ...
    def __get__(self, instance: "HasLazyProperties | None", owner: type) -> "T | lazy[T]":
        if instance is None:
            return self
        with instance.lock:
            if self._name not in instance.lazy_values:
                instance.lazy_values[self._name] = self._build(instance)
            value: T = instance.lazy_values[self._name]
            return value

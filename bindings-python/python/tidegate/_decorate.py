"""A circuit breaker as a decorator, and its async call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ._tidegate import Guarded

if TYPE_CHECKING:
    from ._tidegate import CircuitBreaker

P = ParamSpec("P")
R = TypeVar("R")


def decorate(breaker: CircuitBreaker, func: Callable[P, R]) -> Callable[P, R]:
    """CircuitBreaker.__call__."""
    if isinstance(func, type):
        raise TypeError(f"a breaker decorates a function, got the class {func.__name__}")
    if not callable(func):
        raise TypeError(f"a breaker decorates a function, got {type(func).__name__}")
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(
            f"{func.__name__}: a generator runs while it is iterated, not when it is called; "
            "use `with breaker.acquire():` around the part that calls the dependency"
        )
    if inspect.iscoroutinefunction(func):
        return _guard_async(breaker, func)
    return functools.update_wrapper(Guarded(breaker, func), func)


async def call_async(
    breaker: CircuitBreaker, func: Callable[..., Awaitable[R]], args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
) -> R:
    """CircuitBreaker.call_async."""
    with breaker.acquire():
        return await func(*args, **(kwargs or {}))


def _guard_async(breaker: CircuitBreaker, func: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    acquire = breaker.acquire

    @functools.wraps(func)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        with acquire():
            return await func(*args, **kwargs)

    return guarded

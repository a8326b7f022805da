"""A circuit breaker and a concurrency limiter as decorators, and the breaker's async call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from ._tidegate import Guarded

if TYPE_CHECKING:
    from ._tidegate import CircuitBreaker, ConcurrencyLimiter

P = ParamSpec("P")
R = TypeVar("R")


def decorate(breaker: CircuitBreaker, func: Callable[P, R]) -> Callable[P, R]:
    """CircuitBreaker.__call__."""
    if _is_async("a breaker", "with breaker.acquire():", func):
        return _guard_async(breaker, cast(Any, func))
    return functools.update_wrapper(Guarded(breaker, func), func)


def decorate_limited(limiter: ConcurrencyLimiter, func: Callable[..., Any]) -> Callable[..., Any]:
    """ConcurrencyLimiter.__call__."""
    if _is_async("a concurrency limiter", "with limiter.acquire():", func):

        @functools.wraps(func)
        async def limited_async(*args: Any, **kwargs: Any) -> Any:
            with await limiter.acquire_async():
                return await func(*args, **kwargs)

        return limited_async

    @functools.wraps(func)
    def limited(*args: Any, **kwargs: Any) -> Any:
        with limiter.acquire():
            return func(*args, **kwargs)

    return limited


def _is_async(who: str, instead: str, func: Any) -> bool:
    """Whether a function is one of coroutines; TypeError for what cannot be decorated."""
    if isinstance(func, type):
        raise TypeError(f"{who} decorates a function, got the class {func.__name__}")
    if not callable(func):
        raise TypeError(f"{who} decorates a function, got {type(func).__name__}")
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(
            f"{func.__name__}: a generator runs while it is iterated, not when it is called; "
            f"use `{instead}` around the part that does the work"
        )
    return inspect.iscoroutinefunction(func)


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

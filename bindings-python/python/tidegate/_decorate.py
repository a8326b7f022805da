"""A circuit breaker and a concurrency limiter as decorators, and the breaker's async call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from ._functions import PLAIN, decorates, not_async
from ._sent import raised, returned
from ._tidegate import Guarded

if TYPE_CHECKING:
    from ._tidegate import CircuitBreaker, ConcurrencyLimiter

P = ParamSpec("P")
R = TypeVar("R")


def decorate(breaker: CircuitBreaker, func: Callable[P, R]) -> Callable[P, R]:
    """CircuitBreaker.__call__."""
    if decorates("a breaker", "with breaker.acquire():", func):
        return _guard_async(breaker, cast(Any, func))
    return functools.update_wrapper(Guarded(breaker, func), func)


def decorate_limited(
    limiter: ConcurrencyLimiter, func: Callable[..., Any] | None, partition: str | None = None
) -> Callable[..., Any]:
    """ConcurrencyLimiter.__call__."""
    if func is None:
        return functools.partial(decorate_limited, limiter, partition=partition)
    if decorates("a concurrency limiter", "with limiter.acquire():", func):

        @functools.wraps(func)
        async def limited_async(*args: Any, **kwargs: Any) -> Any:
            permit = await limiter.acquire_async(partition=partition)
            try:
                result = await func(*args, **kwargs)
            except BaseException as error:
                raised(permit, error)
                raise
            if result.__class__ in PLAIN:
                permit.__exit__(None, None, None)
                return result
            return returned(permit, result, limited_async)

        return limited_async

    @functools.wraps(func)
    def limited(*args: Any, **kwargs: Any) -> Any:
        permit = limiter.acquire(partition=partition)
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            raised(permit, error)
            raise
        if result.__class__ in PLAIN:
            permit.__exit__(None, None, None)
            return result
        return returned(permit, result, limited, is_over=True)

    return limited


async def call_async(
    breaker: CircuitBreaker, func: Callable[..., Awaitable[R]], args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
) -> R:
    """CircuitBreaker.call_async."""
    with breaker.acquire() as permit:
        made = func(*args, **(kwargs or {}))
        if not inspect.isawaitable(made):
            # A mistake of the caller, and no failure of the dependency.
            permit.ignore()
            raise not_async(made, "breaker.call(…)")
        result = await made
        permit.result(result)
        return result


def _guard_async(breaker: CircuitBreaker, func: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    acquire = breaker.acquire

    @functools.wraps(func)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        permit = acquire()
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            raised(permit, error)
            raise
        if result.__class__ in PLAIN:
            permit.result(result)
            return result
        return returned(permit, result, guarded)

    return guarded

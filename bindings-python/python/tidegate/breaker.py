"""Circuit breaker: the decorator and the async form over the native class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from . import _tidegate

__all__ = ["CircuitBreaker"]

P = ParamSpec("P")
R = TypeVar("R")


class CircuitBreaker(_tidegate.CircuitBreaker):
    """A circuit breaker: closed, open after too many failures, half-open with a few probes after the cooldown.

    As a decorator it guards sync and async functions alike::

        payment = CircuitBreaker("payment", consecutive_failures=5)

        @payment
        async def pay(order): ...

    Args:
        name: stands in errors.
        failure_rate_threshold: opens when failed / calls in the window reaches this, 0 < rate <= 1.
        window_calls | window_duration: the last N calls (default 20), or the calls of the last T seconds.
        min_calls: the rates say nothing below this many calls.
        slow_call_duration, slow_call_rate_threshold: a call this long is slow; opens at this share of slow calls.
        consecutive_failures: opens at this many failures in a row, whatever the rates.
        cooldown, cooldown_backoff, max_cooldown, cooldown_jitter: seconds it stays open; each opening from half-open
            multiplies it, up to ``max_cooldown`` (default 64 x), and jitter lengthens it by up to that fraction.
        probes: successful probes needed to close, and the most at once; ``probe_timeout``: seconds until one is lost.
        failure_on: the exceptions that are failures: a class, a tuple, or a function of the exception (default: every
            ``Exception``). What it does not name counts as a success: the dependency did answer.
        ignore: exceptions that count neither way, given like ``failure_on``; it wins over it.
        clock: a ManualClock for tests.

    Never a failure: tidegate's own refusals (ignored), and what is no ``Exception``, such as a cancelled task, Ctrl-C
    or a closed generator (released). Windows, slow calls and half-open follow Resilience4j.

    All methods may be called from any thread and any event loop at the same time; none blocks.
    """

    __slots__ = ("__weakref__",)

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Decorates a function; an ``async def`` stays one. Raises TypeError for generators and non-functions."""
        if not callable(func):
            raise TypeError(f"a breaker decorates a function, got {type(func).__name__}")
        if isinstance(func, type):
            raise TypeError(f"a breaker decorates a function, got the class {func.__name__}")
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError(
                f"{func.__name__}: a generator runs while it is iterated, not when it is called; "
                "use `with breaker.acquire():` around the part that calls the dependency"
            )
        if inspect.iscoroutinefunction(func):
            return _guard_async(self, func)  # type: ignore[return-value]
        return _guard(self, func)

    async def call_async(self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Awaits ``func(*args, **kwargs)`` under a permit; raises CircuitOpenError when refused."""
        with self.acquire():
            return await func(*args, **kwargs)


def _guard(breaker: CircuitBreaker, func: Callable[P, R]) -> Callable[P, R]:
    call = breaker.call

    @functools.wraps(func)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        return call(func, *args, **kwargs)

    return guarded


def _guard_async(breaker: CircuitBreaker, func: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    acquire = breaker.acquire

    @functools.wraps(func)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        with acquire():
            return await func(*args, **kwargs)

    return guarded

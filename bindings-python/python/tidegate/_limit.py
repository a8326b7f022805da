"""The limit behind a guard: made of a rate, taken as it is, or chosen for each request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from . import _notices
from ._functions import function
from ._tidegate import (
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    HostScope,
    LimitSet,
    ProcessScope,
    RateLimiter,
    Tier,
    TokenBucket,
)
from .errors import ArenaError, ConfigError

T = TypeVar("T")

# A cost is 32 bits in the core.
MOST_COST = 2**32 - 1
# How many limits a function may choose from.
_MOST_CHOICES = 100


# What is callable, for it decorates, and yet no function of the scope that gives a limit.
_NO_LIMITS: dict[type, str] = {
    BoundedQueue: "give it to TidegateMiddleware as queue=",
    CircuitBreaker: "decorate the function with it that calls the dependency",
    ConcurrencyLimiter: "give it to TidegateMiddleware as concurrency=",
}


def check_limit(limit: Any) -> None:
    """TypeError for what would be an error at every request."""
    if isinstance(limit, type):
        raise TypeError(f"limit: expected a limit, got the class {limit.__name__}; make one of it")
    for other, advice in _NO_LIMITS.items():
        if isinstance(limit, other):
            raise TypeError(f"limit: expected a rate or a limit, got {type(limit).__name__}; {advice}")
    kind = type(limit).__name__
    if isinstance(limit, (list, tuple, set, frozenset)):
        raise TypeError(
            f'limit: several rates are one text, as in "2/second;30/minute", and several limits a LimitSet; got {kind}'
        )
    if not isinstance(limit, (str, Tier)) and not callable(limit) and not callable(getattr(limit, "check", None)):
        raise TypeError(
            "limit: expected a rate, a TokenBucket, a RateLimiter, a LimitSet or an object with check(), or a function of the "
            f"ASGI scope that gives one, got {kind}"
        )


def check_rate(limit: str, burst: int | None) -> None:
    """ConfigError for a text that is no rate, before anything is made of it."""
    for rate in limit.split(";"):
        TokenBucket(rate.strip(), burst=burst, scope="process")


def make_limit(
    limit: Any,
    *,
    keyed: bool,
    burst: int | None,
    scope: str | HostScope | ProcessScope | None,
    name: str | None,
    on_conflict: Any,
) -> Any:
    """The limit itself, made here when it came as a rate."""
    if isinstance(limit, str):
        rates = [rate.strip() for rate in limit.split(";")]
        if len(rates) == 1:
            return _make(keyed, limit, burst, scope, name, on_conflict)
        if burst is not None:
            raise ConfigError(
                "burst: which of several rates would it belong to? Make a LimitSet of limits with their bursts"
            )
        if len(set(rates)) < len(rates):
            raise ConfigError(f"limit: {limit!r} says a rate twice")
        names = [name and f"{name}:{number}" for number in range(1, len(rates) + 1)]
        made = {rate: _make(keyed, rate, None, scope, own, on_conflict) for rate, own in zip(rates, names, strict=True)}
        return LimitSet(made)
    kind = type(limit).__name__
    if scope is not None:
        raise ConfigError(f"scope: the {kind} already has its place; pass scope and name to its constructor")
    if burst is not None:
        raise ConfigError(f"burst: the {kind} already has one; leave burst out")
    if on_conflict is not None:
        raise ConfigError(f"on_conflict: the {kind} already has its place; pass on_conflict to its constructor")
    return limit


def _make(
    keyed: bool,
    rate: str,
    burst: int | None,
    scope: str | HostScope | ProcessScope | None,
    name: str | None,
    on_conflict: Any,
) -> RateLimiter | TokenBucket:
    kind: Any = RateLimiter if keyed else TokenBucket
    try:
        made: RateLimiter | TokenBucket = kind(
            rate, burst=burst, scope=scope, name=name, on_conflict=on_conflict or "error"
        )
    except ArenaError as error:
        if on_conflict is not None or error.kind != "settings":
            raise
        # A deploy that changes a rate: the version that starts now is the one that is meant.
        made = kind(rate, burst=burst, scope=scope, name=name, on_conflict="apply")
        _notices.applied(str(made.name), rate, str(error))
    return made


def check_cost(cost: Any, members: Iterable[Any]) -> Any:
    """A cost that every limit can admit, or a function."""
    if callable(cost):
        return function("cost", cost)
    if isinstance(cost, bool) or not isinstance(cost, int):
        raise TypeError(f"cost: expected an int or a function of the ASGI scope, got {type(cost).__name__}")
    most = min((getattr(member, "burst", MOST_COST) for member in members), default=MOST_COST)
    if not 1 <= cost <= most:
        raise ConfigError(f"cost: must be 1 to the burst ({most}), or no call could pass; got {cost}")
    return cost


class Chooser(Generic[T]):
    """A function of the scope that gives each request its limit; what is made of a limit is kept.

    The invariant: a limit made anew for a request is full, and admits everything. So the choices are few, and one too
        many is an error.
    """

    __slots__ = ("_function", "_made", "_make")

    def __init__(self, function: Callable[[Any], Any], make: Callable[[Any], T]) -> None:
        self._function, self._make = function, make
        self._made: dict[Any, T] = {}

    async def choose(self, scope: Any) -> T | None:
        """What was made of the request's limit; None where it has none."""
        found = self._function(scope)
        if inspect.isawaitable(found):
            found = await found
        if found is None:
            return None
        is_limit = isinstance(found, (str, Tier)) or callable(getattr(found, "check", None))
        if not is_limit or isinstance(found, type):
            raise TypeError(
                f"limit: expected the function to give a limit, a tier, a rate or None, got {type(found).__name__}"
            )
        # Limits are what they are, not what they equal; texts are what they say.
        at = found if isinstance(found, str) else id(found)
        made = self._made.get(at)
        if made is None:
            if len(self._made) >= _MOST_CHOICES:
                raise ConfigError(
                    f"limit: the function has given {_MOST_CHOICES} different limits; it must choose among limits that exist, for "
                    "one made for a request admits it always"
                )
            # What is made holds the limit, so that its id stays its own.
            made = self._made.setdefault(at, self._make(found))
        return made

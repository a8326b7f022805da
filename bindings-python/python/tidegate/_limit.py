"""The limit behind a guard: made of a rate, taken as it is, or chosen for each request."""

from __future__ import annotations

import gc
import hashlib
import inspect
import os
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from typing import Any, Generic, TypeVar

from . import _notices
from ._functions import called, function
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
            "limit: expected a rate, a TokenBucket, a RateLimiter, a LimitSet or an object with check(), or a function "
            f"of the ASGI scope that gives one, got {kind}"
        )


def can_refund(limit: Any) -> bool:
    """Whether a cost can be given back. A limit of somebody else's may have ``check`` alone."""
    return callable(getattr(limit, "refund", None))


def check_refund(name: str, limit: Any) -> None:
    """TypeError where a cost cannot be given back; a text or a function gives a limit that has to be asked itself."""
    is_limit = not isinstance(limit, (str, Tier)) and callable(getattr(limit, "check", None))
    if is_limit and not can_refund(limit):
        raise TypeError(
            f"{name}: the limit {type(limit).__name__} has no refund(n), so nothing can be given back to it; give it "
            "one, or take a TokenBucket or RateLimiter"
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
    fastest: Any,
    scope: str | HostScope | ProcessScope | None,
    name: str | None,
    on_conflict: Any,
) -> Any:
    """The limit itself, made here when it came as a rate."""
    if isinstance(limit, str):
        if fastest is not None and not keyed:
            raise ConfigError(
                "fastest: a limit for everybody takes any rate later; leave fastest out, or give it a key"
            )
        rates = [rate.strip() for rate in limit.split(";")]
        if len(rates) == 1:
            return _make(keyed, limit, {"burst": burst} | _given(fastest), scope, name, on_conflict)
        if fastest is not None:
            raise ConfigError(
                "fastest: which of several rates would it belong to? Make a LimitSet of limits with theirs"
            )
        if burst is not None:
            raise ConfigError(
                "burst: which of several rates would it belong to? Make a LimitSet of limits with their bursts"
            )
        if len(set(rates)) < len(rates):
            raise ConfigError(f"limit: {limit!r} says a rate twice")
        names = [name and f"{name}:{number}" for number in range(1, len(rates) + 1)]
        made = {rate: _make(keyed, rate, {}, scope, own, on_conflict) for rate, own in zip(rates, names, strict=True)}
        return LimitSet(made)
    kind = type(limit).__name__
    if scope is not None:
        raise ConfigError(f"scope: the {kind} already has its place; pass scope and name to its constructor")
    if burst is not None:
        raise ConfigError(f"burst: the {kind} already has one; leave burst out")
    if fastest is not None:
        raise ConfigError(f"fastest: the {kind} already has one; pass fastest to its constructor")
    if on_conflict is not None:
        raise ConfigError(f"on_conflict: the {kind} already has its place; pass on_conflict to its constructor")
    return limit


def _given(fastest: Any) -> dict[str, Any]:
    return {} if fastest is None else {"fastest": fastest}


def _make(
    keyed: bool,
    rate: str,
    own: dict[str, Any],
    scope: str | HostScope | ProcessScope | None,
    name: str | None,
    on_conflict: Any,
) -> RateLimiter | TokenBucket:
    kind: Any = RateLimiter if keyed else TokenBucket
    place = None if name is None else _place(scope, name)
    quota = "" if place is None else _quota(rate, own.get("burst"))
    first = on_conflict or "error"
    if place is not None:
        _check_owner(place, quota)
        if first in ("apply", "keep"):
            # An error first, for who has declared the other rate may be this process.
            first = "error"
    try:
        made: RateLimiter | TokenBucket = kind(rate, **own, scope=scope, name=name, on_conflict=first)
    except ArenaError as error:
        if on_conflict == "error" or error.kind != "settings" or place is None:
            raise
        _check_used(place, quota)
        # A deploy that changes a rate: the version that starts now is the one that is meant.
        made = kind(rate, **own, scope=scope, name=name, on_conflict=on_conflict or "apply")
        if on_conflict is None:
            asked = TokenBucket(rate, burst=own.get("burst"), scope="process").burst
            _notices.applied(str(made.name), rate, str(error), made.burst if made.burst < asked else None)
    if place is not None:
        at = id(made)
        _owners[at] = (weakref.ref(made, lambda _: _owners.pop(at, None)), place, quota)
    return made


# What was made here of a rate in a named scope, for as long as it is used: its place, and the rate as it was declared.
_owners: dict[int, tuple[weakref.ref[Any], tuple[str, str, str], str]] = {}


def _place(scope: str | HostScope | ProcessScope | None, name: str) -> tuple[str, str, str] | None:
    """Where a named limit stands; None where it is private."""
    if scope is None:
        scope = os.environ.get("TIDEGATE_SCOPE") or "process"
    if scope == "process":
        return None
    directory = getattr(scope, "path", None) or os.environ.get("TIDEGATE_DIR", "")
    kind = "process" if isinstance(scope, ProcessScope) else "host"
    return scope if isinstance(scope, str) else f"{kind}:{scope.name}", str(directory), name


def _quota(rate: str, burst: int | None) -> str:
    return _quota_of(TokenBucket(rate, burst=burst, scope="process"))


def _quota_of(limit: RateLimiter | TokenBucket) -> str:
    return f"{limit.count} per {limit.period:g} s, burst {limit.burst}"


def _check_owner(place: tuple[str, str, str], quota: str) -> None:
    """ConfigError where this process has declared another rate under the name, and uses it.

    The two would be one object, and one of them would limit nothing of what it is for. on_conflict has no say: it is
    for what other processes have declared.
    """

    def others() -> list[str]:
        return [has for _, where, has in list(_owners.values()) if where == place and has != quota]

    if not others():
        return
    # What an application that is gone has left.
    gc.collect()
    found = others()
    if found:
        raise _two_limits(place, found[0], quota)


def _check_used(place: tuple[str, str, str], quota: str) -> None:
    """ConfigError where the application has made a limit of another rate under the name, and uses it.

    Asked only where the arena holds another rate, for it looks through all objects (but those of ``gc.freeze``).
    """

    def others() -> list[str]:
        made = [one for one in gc.get_objects() if type(one) in (RateLimiter, TokenBucket)]
        own = [one for one in made if (one.scope, one.name) == (place[0], place[2]) and id(one) not in _owners]
        return [has for has in map(_quota_of, own) if has != quota]

    if not others():
        return
    gc.collect()
    found = others()
    if found:
        # What the arena says advises on_conflict, which has no say.
        raise _two_limits(place, found[0], quota) from None


def _two_limits(place: tuple[str, str, str], other: str, quota: str) -> ConfigError:
    return ConfigError(
        f"name: {place[2]!r} in {place[0]!r} is another limit of this process ({other}), and limits of one "
        f"name are one; give this one ({quota}) a name of its own, or share one object"
    )


# The longest name of an object in an arena.
_LONGEST = 63
_UNITS: dict[float, str] = {1.0: "second", 60.0: "minute", 3600.0: "hour", 86400.0: "day"}


def choice_name(name: str, rates: str) -> str:
    """The name of the limit that a function has chosen by its rate: rates that are equal have one, however they are
    written, and it can be an object's.
    """
    made = [TokenBucket(rate.strip(), scope="process") for rate in rates.split(";")]
    each = [f"{one.count}/{_UNITS.get(one.period) or exact_seconds(one.period) + 's'}" for one in made]
    text = f"{name}:{'-'.join(each)}"
    # Each of several is numbered behind it.
    longest = _LONGEST if len(each) == 1 else _LONGEST - len(f":{len(each)}")
    if len(text) <= longest:
        return text
    # Of all of it, for the name may have no room beside it.
    short = f":{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return name[: longest - len(short)] + short


def exact_seconds(length: float) -> str:
    """As a part of a name: exact, so that no two lengths share one, and without an exponent, whose + no name holds."""
    text = f"{length:g}"
    return text if "e" not in text and float(text) == length else f"{Decimal(str(length)).normalize():f}"


def check_cost(cost: Any, members: Iterable[Any], name: str = "cost") -> Any:
    """A cost that every limit can admit, or a function."""
    if callable(cost):
        return function(name, cost)
    if isinstance(cost, bool) or not isinstance(cost, int):
        raise TypeError(f"{name}: expected an int or a function of the ASGI scope, got {type(cost).__name__}")
    most = min((getattr(member, "burst", MOST_COST) for member in members), default=MOST_COST)
    if not 1 <= cost <= most:
        raise ConfigError(f"{name}: must be 1 to the burst ({most}), or no call could pass; got {cost}")
    return cost


def _shown(found: Any) -> str:
    """What a function has given, in a message."""
    if isinstance(found, type):
        return f"the class {found.__name__}"
    return repr(found[:80]) if isinstance(found, str) else f"a {type(found).__name__}"


class Chooser(Generic[T]):
    """A function of the scope that gives each request its limit; what is made of a limit is kept.

    The invariant: a limit made anew for a request is full, and admits everything. So the limits exist before they are
    chosen, and are few; one too many is an error. Tiers are quotas of a limiter that exists: equal ones are one, and
    there may be any number.
    """

    __slots__ = ("_function", "_made", "_make", "_tiers")

    def __init__(self, function: Callable[[Any], Any], make: Callable[[Any], T]) -> None:
        self._function, self._make = function, make
        self._made: dict[Any, T] = {}
        self._tiers: dict[Any, T] = {}

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
                f"limit: expected {called(self._function)}() to give a limit, a tier, a rate or None, "
                f"got {_shown(found)}"
            )
        if isinstance(found, Tier):
            return self._of_tier(found)
        # Limits are what they are, not what they equal; texts are what they say.
        at = found if isinstance(found, str) else id(found)
        made = self._made.get(at)
        if made is None:
            kind = type(found).__name__
            try:
                known = None if isinstance(found, str) else weakref.ref(found)
            except TypeError:
                # Of a class without weak references: nobody can say who else has it.
                known = None
            if known is not None:
                del found
                found = known()
                if found is None:
                    raise ConfigError(
                        f"limit: the function has made a {kind} for this request; it must choose among limits that "
                        "exist, for one made for a request admits it always"
                    )
            if len(self._made) >= _MOST_CHOICES:
                raise ConfigError(
                    f"limit: the function has given {_MOST_CHOICES} different limits; it must choose among limits that "
                    "exist, for one made for a request admits it always"
                )
            # What is made holds the limit, so that its id stays its own.
            made = self._made.setdefault(at, self._make_of(found))
        return made

    def _make_of(self, found: Any) -> T:
        """What is made of a limit. An error says who gave it: the log of a server has no other word of that."""
        try:
            return self._make(found)
        except (ArenaError, ConfigError, TypeError) as error:
            text = f"limit: {called(self._function)}() gave {_shown(found)}: {error}"
            if isinstance(error, ArenaError):
                raise ArenaError(text, error.kind) from error
            raise (ConfigError if isinstance(error, ConfigError) else TypeError)(text) from error

    def _of_tier(self, tier: Tier) -> T:
        at = (id(tier.limiter), tier.count, tier.period, tier.burst)
        made = self._tiers.get(at)
        if made is None:
            # What is made holds the limiter, so that its id stays its own for as long as it stands here.
            made = self._tiers[at] = self._make_of(tier)
            if len(self._tiers) > _MOST_CHOICES:
                with suppress(RuntimeError, StopIteration):
                    self._tiers.pop(next(iter(self._tiers)), None)
        return made

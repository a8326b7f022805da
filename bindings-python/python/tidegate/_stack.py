"""Several limits of one route, decided as one: all or nothing."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Protocol

from ._fields import joined
from ._functions import endpoint as checked
from ._guard import COUNTED, Ask, Charge, Guard, default_names
from ._limit import can_refund
from ._tidegate import LimitSet, RateLimiter, Taken, TokenBucket
from .errors import ConfigError
from .headers import HeaderList


class Charges(Protocol):
    """What a route asks: one Guard or a Stack."""

    async def charge(self, scope: MutableMapping[str, Any]) -> Charge:
        """Takes what the request costs, or nothing."""


class Stack:
    """Guards of one route, from the outermost to the innermost.

    Where they differ in nothing but limit, name and key, they are one LimitSet, whose answer is one step. Else they are
    asked one after the other, once all of the user's functions have spoken, and what one of them refuses is given back
    to those before it: meanwhile others may be refused early, and never is one admitted too many.
    """

    __slots__ = ("_guards", "_set")

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = tuple(guards)
        self._set = _merged(self._guards)

    async def charge(self, scope: MutableMapping[str, Any]) -> Charge:
        """As Guard.charge, for all of them."""
        if self._set is not None and not scope.get(COUNTED):
            return await self._set.charge(scope)
        asks = [ask for guard in self._guards if (ask := await guard.ask(scope)) is not None]
        # What cannot be given back is taken last.
        asks.sort(key=lambda ask: not can_refund(ask.guard.limit))
        before: list[Taken] = list(scope.get(COUNTED) or ())
        known: list[tuple[Guard, Taken]] = []
        for ask in asks:
            taken = ask.guard.take(scope, ask)
            # A limit that stands in the route twice has counted once: it is told, waited for and given back once.
            if not any(taken is other for _, other in known):
                known.append((ask.guard, taken))
            if taken.retry_after and not ask.guard.dry_run:
                return _refused(asks, known, before, scope)
        fresh = [(guard, taken) for guard, taken in known if not any(taken is other for other in before)]
        try:
            for guard, taken in fresh:
                pause = guard.pause(taken)
                if pause is not None:
                    await pause
        except BaseException:
            for guard, taken in fresh:
                guard.give_back(taken)
            raise
        return Charge(known, joined([taken.fields for _, taken in fresh]), not fresh, fresh)


def stacked(endpoint: Callable[..., Any], guard: Guard) -> tuple[Callable[..., Any], tuple[Guard, ...]]:
    """The route under the limits that stand directly below a new one, and all of these limits.

    The invariant: what stands between two limits, such as a check of who asks, stays between them. It has the
    attributes of what it decorates, by ``functools.wraps``, so that they say whose they are.
    """
    limited, known = getattr(checked(endpoint), "__tidegate_limits__", (None, ()))
    if limited is not endpoint:
        return endpoint, (guard,)
    return endpoint.__wrapped__, (guard, *known)


def _refused(
    asks: list[Ask], known: list[tuple[Guard, Taken]], before: list[Taken], scope: MutableMapping[str, Any]
) -> Charge:
    """The last of ``known`` has refused: what was taken for this request goes back, and is told as it is then; so is
    what was not asked any more. Each limit is told once, under a name of its own.
    """
    refuser = known[-1][1]
    names = {taken.policy for _, taken in known} | {taken.policy for taken in before}
    told, seen = [], [(taken.limit, taken.keys) for taken in before]
    for guard, taken in known[:-1]:
        if not any(taken is other for other in before):
            guard.give_back(taken)
            scope[COUNTED].remove(taken)
            told.append(guard.look(taken.keys, taken.policy))
    told.append(refuser.fields)
    seen += [(taken.limit, taken.keys) for _, taken in known]
    for guard, keys, _ in asks:
        if not any(guard.limit is limit and keys == others for limit, others in seen):
            seen.append((guard.limit, keys))
            names.add(name := guard.name_beside(names))
            told.append(guard.look(keys, name))
    return Charge([known[-1]], joined(told, refuser.fields), False)


def _merged(guards: Sequence[Guard]) -> Guard | None:
    """One guard of a LimitSet, where the guards can be one."""
    first = guards[0].set_options
    if first is None or any(guard.set_options != first for guard in guards):
        return None
    names = default_names()
    members: dict[str, Any] = {}
    keys: dict[str, Any] = {}
    for guard in guards:
        name = guard.name if guard.has_own_name else next(name for name in names if name not in members)
        if type(guard.limit) not in (RateLimiter, TokenBucket) or name in members or name == "n":
            return None
        if any(guard.limit is member for member in members.values()):
            # A set would count it twice.
            return None
        members[name] = guard.limit
        if guard.key is not None:
            keys[name] = guard.key
    try:
        return Guard(LimitSet(members), key=keys or None, **first)
    except ConfigError:
        # Too many for a set, or on different clocks.
        return None

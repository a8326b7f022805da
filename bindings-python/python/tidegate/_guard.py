"""One limit as requests meet it: whose key, what cost, what the client is told. Framework-free."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import partial
from typing import Any, TypeAlias

from ._tidegate import ClientAddress, Decision, HostScope, LimitSet, RateLimiter, Taken, TokenBucket
from ._time import sleep_async
from .errors import ConfigError
from .headers import HeaderList, Policies, Problem
from .keys import ClientIP, Header, KeyFunction, client_ip, resolve

__all__ = ["Charge", "Cost", "Guard", "Keys"]

Scope: TypeAlias = MutableMapping[str, Any]
Cost: TypeAlias = int | Callable[[Scope], int]
Keys: TypeAlias = KeyFunction | Mapping[str, KeyFunction]

# Where a request's scope says what it has taken already, so that a limit that stands in its way twice counts it once.
_COUNTED = "tidegate.counted"


class Charge:
    """What one request took of one limit.

    ``decision`` is the limit's answer, ``admitted`` whether the request goes on (a dry run admits all), ``keys`` what was
    counted. A route that got it from its dependency may give it back: ``charge.refund()``.
    """

    __slots__ = ("_guard", "_taken", "admitted", "shared", "told")

    def __init__(self, guard: Guard, taken: Taken, told: bool) -> None:
        self._guard = guard
        self._taken = taken
        self.admitted = not taken.retry_after or guard.dry_run
        # Whether the fields are on their way to the client, and whether by the middleware.
        self.told = self.shared = told

    @property
    def decision(self) -> Decision:
        """The limit's answer."""
        return self._taken.decision

    @property
    def keys(self) -> Any:
        """What was counted: None, a key, or pairs of names and keys."""
        return self._taken.keys

    @property
    def fields(self) -> HeaderList:
        """What the client is told."""
        return self._taken.fields

    @property
    def retry_after(self) -> float:
        """Seconds after which another try makes sense."""
        return self._guard.retry_after(self._taken)

    @property
    def violated(self) -> str:
        """The policy that refused."""
        return self._taken.decision.denied_by or self._guard.name

    def refund(self) -> None:
        """Gives the cost back, once; nothing where the limit refused."""
        self._guard.give_back(self._taken)


class Guard:
    """Charges requests to a limit.

    Args:
        limit: a rate such as ``"5/minute"`` (with ``key`` one for each key, without it one for everybody; several joined by
            ``;`` hold together), a TokenBucket, RateLimiter or LimitSet, or an object with ``check``.
        burst: the most at once, for a rate given as text.
        key: for keyed limits, whose it is; default: the client's address. For a LimitSet a mapping from names to
            functions, or one function for all. No key counts as the empty one.
        cost: what a request takes, or a function of its scope.
        name: the limit's name in the RateLimit fields and in its scope; a LimitSet has its own.
        scope: where a limit given as a rate keeps its state, as TokenBucket and RateLimiter have it; of several rates joined by
            ``;`` the first is ``name:1`` there, the next ``name:2``.
        headers, legacy_headers, jitter: what clients are told; see ``tidegate.headers.Policies``.
        dry_run: charge and count (``would_deny``), refuse nothing and tell nobody.
        client: the default key.
        called: the limit's name in the fields where it has none.
    """

    __slots__ = (
        "_cost",
        "_headers",
        "_jitter",
        "_paces",
        "_problems",
        "_take",
        "_tell",
        "dry_run",
        "key",
        "limit",
        "name",
        "serve",
        "would_deny",
    )

    def __init__(
        self,
        limit: Any,
        *,
        burst: int | None = None,
        key: Keys | None = None,
        cost: Cost = 1,
        name: str | None = None,
        scope: str | HostScope | None = None,
        headers: bool = True,
        legacy_headers: bool = False,
        jitter: float = 0.0,
        dry_run: bool = False,
        client: KeyFunction = client_ip,
        called: str = "default",
    ) -> None:
        self.limit = _limit(limit, burst, key is not None, scope, name)
        self.name = name = called if name is None else name
        self.dry_run = dry_run
        self.would_deny = 0
        self._cost = _cost(cost, self.limit)
        self.key = _keys(key, self.limit, client)
        policies = Policies(self.limit, name, legacy=legacy_headers, jitter=jitter)
        self._tell = policies.tell
        # A subclass may have a check of its own.
        ours = type(self.limit) in (RateLimiter, TokenBucket)
        self._take = policies.take if ours else self._take_from
        self._headers = headers and not dry_run
        self._jitter = jitter > 0
        self._paces = _paces(self.limit)
        # What most limits are takes one native call: a fixed cost; no key, the peer's address or a header; nothing to wait for.
        source: ClientAddress | bytes | None = None
        if type(self.key) is ClientIP:
            source = self.key.peer_only
        elif type(self.key) is Header:
            source = self.key.wanted
        simple = ours and not dry_run and not self._paces and (self.key is None or source is not None)
        self.serve: Callable[[Scope], Taken | None] | None = None
        if simple and isinstance(cost, int):
            self.serve = partial(policies.serve, cost, source, headers)
        names = self.limit.limits if isinstance(self.limit, LimitSet) else (name,)
        self._problems = {name: Problem.limited(name) for name in names}

    async def keys(self, scope: Scope) -> Any:
        """Whose limit it is: None, one key, or a tuple of pairs for a LimitSet."""
        key = self.key
        if key is None:
            return None
        if key.__class__ is tuple:
            return tuple([(name, await resolve(function, scope) or "") for name, function in key])
        return await resolve(key, scope) or ""

    def take(self, scope: Scope, keys: Any) -> Taken:
        """Takes the cost, once for a request, however often it is asked."""
        counted = scope.get(_COUNTED)
        if counted is not None:
            for known in counted:
                if known.limit is self.limit and known.keys == keys:
                    found: Taken = known
                    return found
        n: Any = self._cost
        if n.__class__ is not int:
            n = n(scope)
        taken = self._take(keys, n, self._headers)
        if counted is None:
            scope[_COUNTED] = [taken]
        else:
            counted.append(taken)
        if self.dry_run and taken.retry_after:
            self.would_deny += 1
        return taken

    def _take_from(self, keys: Any, n: int, show: bool) -> Taken:
        """``Policies.take`` for sets and for limits that are not ours."""
        each = None
        if isinstance(self.limit, LimitSet):
            decision, each = self.limit.check_each(dict(keys or ()), n=n)
        elif keys is None:
            decision = self.limit.check() if n == 1 else self.limit.check(n)
        else:
            decision = self.limit.check(keys) if n == 1 else self.limit.check(keys, n)
        fields, retry_after = self._tell(decision, each)
        return Taken(self.limit, keys, n, decision, fields if show else [], retry_after)

    def pause(self, taken: Taken) -> Awaitable[None] | None:
        """What to wait for before the request goes on, where the limit paces; a wait that is broken off gives its place back."""
        return self._wait(taken) if self._paces and taken.decision.delay else None

    async def _wait(self, taken: Taken) -> None:
        try:
            await sleep_async(taken.decision.delay, getattr(self.limit, "clock", None))
        except BaseException:
            self.give_back(taken)
            raise

    async def charge(self, scope: Scope) -> Charge:
        """A route's own: takes the cost and waits for its turn."""
        keys, before = await self.keys(scope), len(scope.get(_COUNTED) or ())
        taken = self.take(scope, keys)
        # What was counted already has told its fields, and waited.
        known = len(scope[_COUNTED]) == before
        pause = None if known else self.pause(taken)
        if pause is not None:
            await pause
        return Charge(self, taken, known)

    def give_back(self, taken: Taken) -> None:
        """Gives a cost back, unless it was refused or is back already."""
        if not taken.claim_refund():
            return
        if taken.keys is None:
            self.limit.refund(n=taken.n)
        elif taken.keys.__class__ is tuple:
            self.limit.refund(dict(taken.keys), n=taken.n)
        else:
            self.limit.refund(taken.keys, taken.n)

    def retry_after(self, taken: Taken) -> float:
        """Seconds to tell a refused client, lengthened where there is jitter."""
        return taken.retry_after if self._jitter else taken.decision.retry_after

    def problem(self, taken: Taken) -> Problem:
        """The answer to a refused client."""
        violated = taken.decision.denied_by or self.name
        return self._problems.get(violated) or Problem.limited(violated)


def _paces(limit: Any) -> bool:
    members = limit.limits.values() if isinstance(limit, LimitSet) else (limit,)
    return any(getattr(member, "algorithm", None) == "leaky_bucket" for member in members)


def _limit(limit: Any, burst: int | None, keyed: bool, scope: str | HostScope | None, name: str | None) -> Any:
    """The limit itself, made here when it came as a rate."""
    if isinstance(limit, str):
        rates = [rate.strip() for rate in limit.split(";")]
        make: Any = RateLimiter if keyed else TokenBucket
        if len(rates) == 1:
            return make(limit, burst=burst, scope=scope, name=name)
        if burst is not None:
            raise ConfigError("burst: which of several rates would it belong to? Make a LimitSet of limits with their bursts")
        names = [name and f"{name}:{number}" for number in range(1, len(rates) + 1)]
        return LimitSet({rate: make(rate, scope=scope, name=name) for rate, name in zip(rates, names, strict=True)})
    if scope is not None:
        raise ConfigError(f"scope: the {type(limit).__name__} already has its place; pass scope and name to its constructor")
    if not callable(getattr(limit, "check", None)):
        raise TypeError(
            "limit: expected a rate, a TokenBucket, a RateLimiter, a LimitSet or an object with check(), "
            f"got {type(limit).__name__}"
        )
    if burst is not None:
        raise ConfigError(f"burst: the {type(limit).__name__} already has one; leave burst out")
    return limit


def _keys(key: Keys | None, limit: Any, client: KeyFunction) -> Any:
    """None, a function, or pairs of names and functions for the keyed limits of a set."""
    if isinstance(limit, LimitSet):
        names = [name for name, member in limit.limits.items() if isinstance(member, RateLimiter)]
        if not names:
            if key is not None:
                raise ConfigError("key: no limit of this set is keyed; leave key out")
            return None
        if key is None or callable(key):
            return tuple((name, key or client) for name in names)
        if not isinstance(key, Mapping):
            raise TypeError(f"key: expected a function or a mapping of names to functions, got {type(key).__name__}")
        if set(key) != set(names):
            raise ConfigError(f"key: this set takes a function for each of {', '.join(names)}; got {', '.join(key) or 'none'}")
        return tuple((name, _function(key[name])) for name in names)
    if not getattr(limit, "keyed", False):
        if key is not None:
            raise ConfigError("key: this limit is one for everybody; a key needs a RateLimiter or a rate")
        return None
    return client if key is None else _function(key)


def _function(key: Any) -> KeyFunction:
    if not callable(key):
        raise TypeError(f"key: expected a function of the ASGI scope, got {type(key).__name__}")
    function: KeyFunction = key
    return function


def _cost(cost: Cost, limit: Any) -> Cost:
    if callable(cost):
        return cost
    if isinstance(cost, bool) or not isinstance(cost, int):
        raise TypeError(f"cost: expected an int or a function of the ASGI scope, got {type(cost).__name__}")
    members = limit.limits.values() if isinstance(limit, LimitSet) else (limit,)
    most = min((getattr(member, "burst", cost) for member in members), default=cost)
    if not 1 <= cost <= most:
        raise ConfigError(f"cost: must be 1 to the burst ({most}), or no call could pass; got {cost}")
    return cost

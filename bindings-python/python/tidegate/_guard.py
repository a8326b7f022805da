"""One limit as requests meet it: whose key, what cost, what the client is told. Framework-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from ._tidegate import Decision, LimitSet, RateLimiter, TokenBucket
from ._time import sleep_async
from .errors import ConfigError
from .headers import HeaderList, Policies, Problem
from .keys import KeyFunction, client_ip, resolve, settled

__all__ = ["Charge", "Cost", "Guard", "Keys"]

Scope: TypeAlias = MutableMapping[str, Any]
Cost: TypeAlias = int | Callable[[Scope], int]
Keys: TypeAlias = KeyFunction | Mapping[str, KeyFunction]

# What a request has taken already, so that a limit that stands in its way twice counts it once.
_COUNTED = "tidegate.counted"


class Charge:
    """What one request took of one limit.

    ``decision`` is the limit's answer, ``admitted`` whether the request goes on (a dry run admits all), ``keys`` what was
    counted. A route that got it from its dependency may give it back: ``charge.refund()``.
    """

    __slots__ = (
        "_guard",
        "_refunded",
        "admitted",
        "decision",
        "fields",
        "keys",
        "n",
        "retry_after",
        "shared",
        "told",
    )

    def __init__(
        self, guard: Guard, keys: Any, n: int, decision: Decision, fields: HeaderList, retry_after: float
    ) -> None:
        self._guard = guard
        self._refunded = False
        self.keys = keys
        self.n = n
        self.decision = decision
        self.admitted = decision.allowed or guard.dry_run
        self.fields = fields
        self.retry_after = retry_after
        # Whether the fields are on their way to the client, and whether by the middleware.
        self.told = self.shared = False

    def refund(self) -> None:
        """Gives the cost back, once; nothing where the limit refused."""
        if self.decision.allowed and not self._refunded:
            self._refunded = True
            self._guard.give_back(self.keys, self.n)

    @property
    def violated(self) -> str:
        """The policy that refused."""
        return self.decision.denied_by or self._guard.name

    @property
    def problem(self) -> Problem:
        """The answer to a refused client."""
        return self._guard.problem(self.violated)


class Guard:
    """Charges requests to a limit.

    Args:
        limit: a rate such as ``"5/minute"`` (with ``key`` one for each key, without it one for everybody; several joined by
            ``;`` hold together), a TokenBucket, RateLimiter or LimitSet, or an object with ``check``.
        burst: the most at once, for a rate given as text.
        key: for keyed limits, whose it is; default: the client's address. For a LimitSet a mapping from names to
            functions, or one function for all. No key counts as the empty one.
        cost: what a request takes, or a function of its scope.
        name: the limit's name in the RateLimit fields; a LimitSet has its own.
        headers, legacy_headers, jitter: what clients are told; see ``tidegate.headers.Policies``.
        dry_run: charge and count (``would_deny``), refuse nothing and tell nobody.
        client: the default key.
    """

    __slots__ = (
        "_check",
        "_cost",
        "_headers",
        "_jitter",
        "_key",
        "_problems",
        "_tell",
        "dry_run",
        "limit",
        "name",
        "would_deny",
    )

    def __init__(
        self,
        limit: Any,
        *,
        burst: int | None = None,
        key: Keys | None = None,
        cost: Cost = 1,
        name: str = "default",
        headers: bool = True,
        legacy_headers: bool = False,
        jitter: float = 0.0,
        dry_run: bool = False,
        client: KeyFunction = client_ip,
    ) -> None:
        self.limit = _limit(limit, burst, key is not None)
        self.name = name
        self.dry_run = dry_run
        self.would_deny = 0
        self._cost = _cost(cost, self.limit)
        self._key = _keys(key, self.limit, client)
        self._check: Any = self.limit.check_each if isinstance(self.limit, LimitSet) else self.limit.check
        self._tell = Policies(self.limit, name, legacy=legacy_headers, jitter=jitter).tell
        self._headers = headers and not dry_run
        self._jitter = jitter > 0
        names = self.limit.limits if isinstance(self.limit, LimitSet) else (name,)
        self._problems = {name: Problem.limited(name) for name in names}

    async def keys(self, scope: Scope) -> Any:
        """Whose limit it is: None, one key, or a tuple of pairs for a LimitSet."""
        key = self._key
        if key is None:
            return None
        if isinstance(key, tuple):
            return tuple([(name, await resolve(function, scope) or "") for name, function in key])
        found = key(scope)
        # Most functions answer at once, with a text.
        return found if found.__class__ is str else await settled(found) or ""

    async def charge(self, scope: Scope, keys: Any = None) -> Charge:
        """Takes the cost (once for a request, however often it is asked) and waits for its turn where the limit paces."""
        if keys is None and self._key is not None:
            keys = await self.keys(scope)
        counted = scope.get(_COUNTED)
        if counted is None:
            counted = scope[_COUNTED] = {}
        known = counted.get((id(self.limit), keys))
        if known is not None:
            known_charge: Charge = known
            return known_charge
        n: Any = self._cost if self._cost.__class__ is int else self._cost(scope)  # type: ignore[operator]
        if keys is None:
            decision = self._check() if n == 1 else self._check(n=n)
        elif keys.__class__ is tuple:
            decision = self._check(dict(keys), n=n)
        else:
            decision = self._check(keys) if n == 1 else self._check(keys, n)
        each = None
        if decision.__class__ is tuple:
            decision, each = decision
        fields, retry_after = self._tell(decision, each)
        charge = Charge(
            self, keys, n, decision, fields if self._headers else [], retry_after if self._jitter else decision.retry_after
        )
        counted[id(self.limit), keys] = charge
        if not decision.allowed and self.dry_run:
            self.would_deny += 1
        if decision.delay:
            try:
                await sleep_async(decision.delay, getattr(self.limit, "clock", None))
            except BaseException:
                charge.refund()
                raise
        return charge

    def give_back(self, keys: Any, n: int) -> None:
        """Charge.refund."""
        if keys is None:
            self.limit.refund(n=n)
        elif keys.__class__ is tuple:
            self.limit.refund(dict(keys), n=n)
        else:
            self.limit.refund(keys, n)

    def problem(self, violated: str) -> Problem:
        """The body of a refusal."""
        return self._problems.get(violated) or Problem.limited(violated)


def _limit(limit: Any, burst: int | None, keyed: bool) -> Any:
    """The limit itself, made here when it came as a rate."""
    if isinstance(limit, str):
        rates = [rate.strip() for rate in limit.split(";")]
        make: Any = RateLimiter if keyed else TokenBucket
        if len(rates) == 1:
            return make(limit, burst=burst)
        if burst is not None:
            raise ConfigError("burst: which of several rates would it belong to? Make a LimitSet of limits with their bursts")
        return LimitSet({rate: make(rate) for rate in rates})
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

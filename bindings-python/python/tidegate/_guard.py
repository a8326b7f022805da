"""One limit as requests meet it: whose key, what cost, what the client is told. Framework-free."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypedDict

from . import _notices
from ._fields import FIELDS, one_told
from ._functions import called, flag, function, optional
from ._limit import MOST_COST, Chooser, can_refund, check_cost, check_limit, check_refund, choice_name, make_limit
from ._tidegate import (
    ClientAddress,
    Decision,
    HostScope,
    LimitSet,
    ProcessScope,
    RateLimiter,
    Taken,
    Tier,
    TokenBucket,
    check_place,
)
from ._time import sleep_async
from .errors import ConfigError
from .headers import HeaderList, Policies, Problem, retry_after_seconds
from .keys import ClientIP, Header, Key, KeyFunction, client_ip, resolve

if TYPE_CHECKING:
    from ._tidegate import Admission
    from ._tidegate import _OnConflict as OnConflict

__all__ = ["Charge", "Condition", "Cost", "Guard", "Keys", "LimitOptions", "Refusal"]

Scope: TypeAlias = MutableMapping[str, Any]
Cost: TypeAlias = int | Callable[[Scope], "int | Awaitable[int]"]
Keys: TypeAlias = KeyFunction | Mapping[str, KeyFunction]
Condition: TypeAlias = Callable[[Scope], "bool | Awaitable[bool]"]

# Where a request's scope says what it has taken already, so that a limit that stands in its way twice counts it once.
COUNTED = "tidegate.counted"
# What of them was taken by a tier, with that.
TIERS = "tidegate.tiers"
# The error by which a limit, shedder or gate of a route had no answer: of a function of the user's, or of a wait.
FAILED = "tidegate.failed"
# What a request that no limit counts is told of it.
_UNCOUNTED = Decision(True, 2**32 - 1, 2**32 - 1, 0.0, 0.0)


def _quota(tier: Tier | None) -> tuple[int, float, int] | None:
    return None if tier is None else (tier.count, tier.period, tier.burst)


class Refusal(NamedTuple):
    """What ``on_refused`` is told beside the scope."""

    status: int
    # Of Retry-After, whole seconds; None where it is not sent.
    retry_after: int | None
    # The policies that refused; of a gate the part.
    policies: tuple[str, ...]
    # The limit's answer, or the gate's.
    decision: Decision | Admission
    # The problem+json that is the answer otherwise.
    body: bytes


# Given the scope and a Refusal: a text, bytes, what JSON can say, or an ASGI application such as a Response; None: the
# usual answer.
OnRefused: TypeAlias = Callable[[Scope, Refusal], Any]


# A rate, or a rate and its burst.
Fastest: TypeAlias = str | float | tuple[str | float, int]


class LimitOptions(TypedDict, total=False):
    """The options of RateLimit and of the ``limit`` decorators."""

    burst: int | None
    fastest: Fastest | None
    key: Keys | None
    cost: Cost
    skip: Condition | None
    name: str | None
    scope: str | HostScope | ProcessScope | None
    on_conflict: OnConflict | None
    on_refused: OnRefused | None
    headers: bool
    legacy_headers: bool
    jitter: float
    dry_run: bool


class Ask(NamedTuple):
    """What a request is about to take, when all of the user's functions have spoken and nothing is taken yet."""

    guard: Guard
    keys: Any
    n: int


class Charge:
    """What one request took.

    ``decision`` is the limit's answer, ``admitted`` whether the request goes on (a dry run admits all), ``keys`` what
    was counted. A route that got it from its dependency may give it back: ``charge.refund()``. A request that ``skip``
    lets pass is not counted: its keys are None, and there is nothing to give back.
    """

    __slots__ = ("_own", "_taken", "fields", "shared", "told")

    def __init__(
        self,
        taken: list[tuple[Guard, Taken]],
        fields: HeaderList,
        told: bool,
        own: list[tuple[Guard, Taken]] | None = None,
    ) -> None:
        self._taken = taken
        # What it took itself: the rest the middleware had counted.
        self._own = ([] if told else taken) if own is None else own
        # What the client is told.
        self.fields = fields
        # Whether the fields are on their way to the client, and whether by the middleware.
        self.told = self.shared = told

    @property
    def _last(self) -> tuple[Guard, Taken] | None:
        """Whose answer stands for all: the one that refused comes last."""
        return self._taken[-1] if self._taken else None

    @property
    def admitted(self) -> bool:
        """Whether the request goes on."""
        return self._last is None or not self._last[1].retry_after or self._last[0].dry_run

    @property
    def decision(self) -> Decision:
        """The limit's answer."""
        return _UNCOUNTED if self._last is None else self._last[1].decision

    @property
    def keys(self) -> Any:
        """What was counted: None, a key, or pairs of names and keys."""
        return None if self._last is None else self._last[1].keys

    @property
    def refused(self) -> tuple[Guard, Taken] | None:
        """Who refused, and with what."""
        return None if self.admitted else self._last

    def __repr__(self) -> str:
        return f"Charge(admitted={self.admitted}, keys={self.keys!r}, decision={self.decision!r})"

    def refund(self) -> None:
        """Gives the cost back, once; nothing where the limit refused."""
        for guard, taken in self._taken:
            guard.refund(taken)

    def undo(self, scope: Scope) -> None:
        """Another limit of the route has refused or failed the request: what this one took goes back, and is told as it
        is then.
        """
        told = scope.get(FIELDS) or []
        rest = [line for line in told if not any(line is own for own in self.fields)]
        is_told = len(rest) < len(told)
        for guard, taken in self._own:
            guard.give_back(taken)
            if is_told:
                rest += guard.look(taken.keys, taken.policy)
        told[:] = one_told(rest)


class Guard:
    """Charges requests to a limit.

    Args:
        limit: a rate such as ``"5/minute"`` (with ``key`` one for each key, without it one for everybody; several
            joined by ``;`` hold together), a TokenBucket, RateLimiter, Tier or LimitSet, an object with ``check``, or a
            function of the scope, sync or async, that gives one of these for each request (None: no limit). Such a
            function chooses among limits that exist, their tiers, or a few rates.
        burst: the most at once, for a rate given as text.
        fastest: as RateLimiter's, for a rate with a key: the fastest that later deploys may give it.
        key: for keyed limits, whose it is; default, and where it gives None or an empty key: the client's address. For
            a LimitSet a mapping from names to functions, or one function for all.
        cost: what a request takes, or a function of its scope, sync or async.
        skip: a function of the scope, sync or async, that gives a bool: what is True passes uncounted.
        name: the limit's name in the RateLimit fields and in its scope; a LimitSet has its own.
        scope: where a limit given as a rate keeps its state, as TokenBucket and RateLimiter have it; of several rates
            joined by ``;`` the first is ``name:1`` there, the next ``name:2``.
        on_conflict: as TokenBucket's, when it was declared there with another rate; default: "apply", said once in the
            log.
        on_refused: answers in place of the problem body: a function of the scope and a Refusal, sync or async.
        headers, legacy_headers, jitter: what clients are told; see ``tidegate.headers.Policies``.
        dry_run: charge and count (``would_deny``), refuse nothing and tell nobody.
        client: the default key.
        called: the limit's name in the fields where it has none.
    """

    __slots__ = (
        "_chooser",
        "_client",
        "_headers",
        "_jitter",
        "_members",
        "_numbered",
        "_paces",
        "_policies",
        "_problems",
        "_told",
        "cost",
        "dry_run",
        "has_own_name",
        "key",
        "limit",
        "name",
        "on_refused",
        "serve",
        "set_options",
        "skip",
        "tier",
        "would_deny",
    )

    def __init__(
        self,
        limit: Any,
        *,
        burst: int | None = None,
        fastest: Fastest | None = None,
        key: Keys | None = None,
        cost: Cost = 1,
        skip: Condition | None = None,
        name: str | None = None,
        scope: str | HostScope | ProcessScope | None = None,
        on_conflict: OnConflict | None = None,
        on_refused: OnRefused | None = None,
        headers: bool = True,
        legacy_headers: bool = False,
        jitter: float = 0.0,
        dry_run: bool = False,
        client: KeyFunction = client_ip,
        called: str = "default",
    ) -> None:
        check_limit(limit)
        function("client", client)
        told_option(headers, legacy_headers)
        flag("dry_run", dry_run)
        if isinstance(jitter, bool) or not isinstance(jitter, (int, float)):
            raise TypeError(f"jitter: expected a number from 0 to 1, got {jitter!r}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {type(name).__name__}")
        self.has_own_name = name is not None or called != "default"
        place: dict[str, Any] = {
            "burst": burst, "fastest": fastest, "scope": scope, "name": name, "on_conflict": on_conflict
        }  # fmt: skip
        self.name = called if name is None else name
        self.dry_run, self.skip = dry_run, optional("skip", skip)
        self.on_refused = optional("on_refused", on_refused, "the ASGI scope and a Refusal", 2)
        self.would_deny = 0
        self._headers = headers and not dry_run
        self._jitter = jitter > 0
        self._told: dict[str, Any] = {"legacy": legacy_headers, "jitter": jitter}
        self._client = client
        self._numbered: dict[str, Policies] = {}
        self.serve: Callable[[Scope], Taken | None] | None = None
        self.tier: Tier | None = None
        self.set_options: dict[str, Any] | None = None
        if callable(limit) and not hasattr(limit, "check"):

            def make(found: Any) -> Guard:
                own = {**place, "name": name and choice_name(name, found)} if isinstance(found, str) else {}
                inner = Guard(
                    found, **own, key=key if isinstance(found, str) or _is_keyed(found) else None, cost=cost,
                    on_refused=on_refused, headers=headers, legacy_headers=legacy_headers, jitter=jitter,
                    dry_run=dry_run, client=client, called=self.name,
                )  # fmt: skip
                inner.has_own_name = self.has_own_name
                return inner

            if burst is not None:
                raise ConfigError(
                    "burst: a function gives the limit; leave burst out, and let it give one that has the burst"
                )
            if fastest is not None:
                raise ConfigError("fastest: a function gives the limit; leave fastest out")
            if key is not None and not isinstance(key, Mapping):
                function("key", key)
            try:
                function("limit", limit)
            except TypeError as error:
                raise TypeError(f'{error}. A decorator takes its limit first, as in @limit("5/minute")') from None
            # What its limits have in common, before there is one.
            check_place(scope, name, on_conflict)
            Policies(None, self.name, **self._told)
            self._chooser: Chooser[Guard] | None = Chooser(limit, make)
            self.limit, self.cost = limit, check_cost(cost, ())
            self.key: Any = key
            return
        self._chooser = None
        if skip is None and not callable(cost):
            # What the guards of a route must have in common to be one set.
            self.set_options = {
                "cost": cost, "on_refused": on_refused, "headers": headers, "legacy_headers": legacy_headers,
                "jitter": jitter, "dry_run": dry_run, "client": client,
            }  # fmt: skip
        if isinstance(limit, Tier):
            self.tier, limit = limit, limit.limiter
        self.limit = make_limit(limit, keyed=key is not None, **place)
        members = tuple(self.limit.limits.values()) if isinstance(self.limit, LimitSet) else (self.tier or self.limit,)
        names = self.limit.limits if isinstance(self.limit, LimitSet) else (self.name,)
        self._members = tuple(zip(names, members, strict=True))
        self.cost = check_cost(cost, members)
        self.key = keys_option(key, self.limit, client)
        _notices.keyless(self.name, isinstance(limit, str) and key is None)
        _notices.forwarded(self.key)
        self._policies = Policies(self.tier or self.limit, self.name, **self._told)
        self._paces = any(getattr(member, "algorithm", None) == "leaky_bucket" for member in (*members, self.limit))
        # What most limits are takes one native call: a fixed cost; no key, the peer's address or a header; nothing to
        # wait for.
        source: ClientAddress | bytes | None = None
        if type(self.key) is ClientIP:
            source = self.key.peer_only
        elif type(self.key) is Header:
            source = self.key.wanted
        simple = self._is_ours() and not dry_run and not self._paces and (self.key is None or source is not None)
        if simple and skip is None and isinstance(cost, int):
            spare = client.peer_only if type(client) is ClientIP else None
            self.serve = partial(self._policies.serve, cost, source, spare, headers)
        self._problems = {name: Problem.limited(name) for name in names}

    def _is_ours(self) -> bool:
        # A subclass may have a check of its own.
        return type(self.limit) in (RateLimiter, TokenBucket)

    async def ask(self, scope: Scope) -> Ask | None:
        """What the request would take, from all that the user's functions say; None where it passes uncounted. Takes
        nothing, so that whatever goes wrong in them leaves no charge behind.
        """
        if self.skip is not None and await holds("skip", self.skip, scope):
            return None
        if self._chooser is not None:
            chosen = await self._chooser.choose(scope)
            return None if chosen is None else await chosen.ask(scope)
        keys = None if self.key is None else await self._keys_of(scope)
        n = self.cost if self.cost.__class__ is int else await cost_of(self.cost, scope)
        if not self.dry_run and self.cost.__class__ is not int:
            self._check_burst(n)
        return Ask(self, keys, n)

    def _check_burst(self, n: int) -> None:
        """A cost that no request could ever pay is the application's mistake, and not a refusal.

        Asked before anything is taken, by the quota of this request.
        """
        check_burst(n, self._members)

    def check_possible(self, taken: Taken) -> None:
        """As ``ask`` checks a function's cost, for a fixed one that ``set_quota`` has left above the burst."""
        if math.isinf(taken.decision.retry_after) and type(self.limit) in (RateLimiter, TokenBucket, LimitSet):
            self._check_burst(taken.n)

    async def _keys_of(self, scope: Scope) -> Any:
        key = self.key
        if key.__class__ is tuple:
            return tuple([(name, await key_of(function, scope, self._client)) for name, function in key])
        return await key_of(key, scope, self._client)

    def take(self, scope: Scope, ask: Ask) -> Taken:
        """Takes the cost, once for a request, however often it is asked. Another tier of the limiter, or a higher cost,
        is taken in the place of what was: a route may be stricter than what stands around it.
        """
        counted = scope.get(COUNTED)
        if counted is not None:
            tiers = scope.get(TIERS, ())
            for known in reversed(counted):
                if known.limit is self.limit and known.keys == ask.keys:
                    tier = next((tier for taken, tier in tiers if taken is known), None)
                    if known.n >= ask.n and _quota(tier) == _quota(self.tier):
                        found: Taken = known
                        return found
                    # What would deny takes nothing, so that nothing would be counted.
                    if not self.dry_run:
                        self._return(known, tier)
        policies = self._policies if not counted or self.has_own_name else self._distinct(counted)
        if self._is_ours():
            taken = policies.take(ask.keys, ask.n, self._headers)
        else:
            taken = self._take_from(policies, ask.keys, ask.n)
        if counted is None:
            scope[COUNTED] = [taken]
        else:
            counted.append(taken)
        if self.tier is not None:
            scope.setdefault(TIERS, []).append((taken, self.tier))
        if self.dry_run and taken.retry_after:
            self.would_deny += 1
        return taken

    def _distinct(self, counted: list[Taken]) -> Policies:
        """Under the first of default, default-2, default-3 … that no other limit of the request is told under."""
        return self._under(self.name_beside({taken.policy for taken in counted}))

    def name_beside(self, known: Container[str]) -> str:
        """The name that the limit is told under beside others that have theirs."""
        return self.name if self.has_own_name else next(name for name in default_names() if name not in known)

    def _under(self, name: str) -> Policies:
        if name == self.name or isinstance(self.limit, LimitSet):
            return self._policies
        if name not in self._numbered:
            self._numbered[name] = Policies(self.tier or self.limit, name, **self._told)
        return self._numbered[name]

    def _take_from(self, policies: Policies, keys: Any, n: int) -> Taken:
        """``Policies.take`` for sets and for limits that are not ours."""
        each = None
        if isinstance(self.limit, LimitSet):
            decision, each = self.limit.check_each(dict(keys or ()), n=n)
        elif self.tier is not None:
            decision = self.limit.check(keys, n, self.tier)
        elif keys is None:
            decision = self.limit.check() if n == 1 else self.limit.check(n)
        else:
            decision = self.limit.check(keys) if n == 1 else self.limit.check(keys, n)
        fields, retry_after = policies.tell(decision, each)
        name = "" if each is not None else self.name
        return Taken(self.limit, keys, n, decision, fields if self._headers else [], retry_after, name)

    def look(self, keys: Any, name: str) -> HeaderList:
        """What a client is told of the limit, under this name, where it takes nothing of it."""
        if not self._headers or not hasattr(self.limit, "peek"):
            return []
        each = None
        if isinstance(self.limit, LimitSet):
            decision, each = self.limit.check_each(dict(keys or ()), n=0)
        elif self.tier is not None:
            decision = self.limit.peek(keys, self.tier)
        else:
            decision = self.limit.peek() if keys is None else self.limit.peek(keys)
        return self._under(name).tell(decision, each)[0]

    def pause(self, taken: Taken) -> Awaitable[None] | None:
        """What to wait for before the request goes on, where the limit paces; a wait that is broken off gives its place
        back.
        """
        return self._wait(taken) if self._paces and taken.decision.delay else None

    async def _wait(self, taken: Taken) -> None:
        try:
            await sleep_async(taken.decision.delay, getattr(self.limit, "clock", None))
        except BaseException:
            self.give_back(taken)
            raise

    async def charge(self, scope: Scope) -> Charge:
        """A route's own: takes the cost and waits for its turn."""
        ask = await self.ask(scope)
        if ask is None:
            return Charge([], [], False)
        guard, before = ask.guard, len(scope.get(COUNTED) or ())
        taken = guard.take(scope, ask)
        # What was counted already has told its fields, and waited.
        known = len(scope[COUNTED]) == before
        pause = None if known else guard.pause(taken)
        if pause is not None:
            await pause
        return Charge([(guard, taken)], taken.fields, known)

    def refund(self, taken: Taken) -> None:
        """Gives a cost back, unless it was refused or is back already; TypeError where that cannot be."""
        check_refund("refund", self.limit)
        self._return(taken, self.tier)

    def give_back(self, taken: Taken) -> None:
        """As ``refund``, where it can be: a limit of somebody else's that has none keeps the charge."""
        self._return(taken, self.tier)

    def _return(self, taken: Taken, tier: Tier | None) -> None:
        if not can_refund(self.limit) or not taken.claim_refund():
            return
        if taken.keys is None:
            self.limit.refund(n=taken.n)
        elif taken.keys.__class__ is tuple:
            self.limit.refund(dict(taken.keys), n=taken.n)
        elif tier is not None:
            self.limit.refund(taken.keys, taken.n, tier)
        else:
            self.limit.refund(taken.keys, taken.n)

    def retry_after(self, taken: Taken) -> float:
        """Seconds to tell a refused client, lengthened where there is jitter."""
        return taken.retry_after if self._jitter else taken.decision.retry_after

    def violated(self, taken: Taken) -> str:
        """The policy that refused."""
        return taken.decision.denied_by or taken.policy or self.name

    def refusal(self, taken: Taken) -> str:
        """Which limit refused what, as the limit's own errors say it, under the policy's name."""
        wait, name = taken.decision.retry_after, self.violated(taken)
        if isinstance(self.limit, LimitSet):
            return self.limit._refused(taken.n, wait, None, taken.decision.denied_by)
        if isinstance(self.limit, RateLimiter):
            return self.limit._refused(taken.n, wait, None, self.tier, name)
        if isinstance(self.limit, TokenBucket):
            return self.limit._refused(taken.n, wait, None, name)
        return f'limit "{name}" refused the request'

    def problem(self, taken: Taken) -> Problem:
        """The answer to a refused client."""
        violated = self.violated(taken)
        return self._problems.get(violated) or Problem.limited(violated)

    async def answer(self, scope: Scope, taken: Taken) -> Any:
        """What ``on_refused`` says in place of the problem body; None where it says nothing."""
        if self.on_refused is None:
            return None
        problem, wait = self.problem(taken), retry_after_seconds(self.retry_after(taken))
        refusal = Refusal(problem.status, wait, (self.violated(taken),), taken.decision, problem.body)
        said = self.on_refused(scope, refusal)
        return await said if inspect.isawaitable(said) else said


async def key_of(function: KeyFunction, scope: Scope, client: KeyFunction) -> Key:
    """The key of a request. Who has none is known by the address, behind a NUL, which no header can hold: nobody can
    name another's.
    """
    found = await resolve(function, scope)
    if found:
        return found
    address = await resolve(client, scope) or ""
    if not address and isinstance(client, ClientIP):
        _notices.no_address()
    return f"\0{address}" if isinstance(address, str) else b"\0" + address


async def cost_of(cost: Any, scope: Scope) -> int:
    """What a function says that a request costs."""
    n = cost(scope)
    if inspect.isawaitable(n):
        n = await n
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"cost: expected a function that gives an int, got {type(n).__name__}")
    if not 0 <= n <= MOST_COST:
        raise ConfigError(f"cost: expected a function that gives 0 to {MOST_COST}, got {n}")
    return n


def check_burst(n: int, members: Iterable[tuple[str, Any]]) -> None:
    """ConfigError for a cost that is above the burst of one of these limits."""
    most, name = min(((_most_of(member), name) for name, member in members), key=_first)
    if n > most:
        raise ConfigError(
            f"cost: {n} is above the burst of limit {name!r} ({most}), so no such request could ever pass; lower "
            "the cost or raise the burst"
        )


def _most_of(member: Any) -> int:
    """The most at once that the limit or tier admits: anything where it is switched off or a dry run."""
    refuses = getattr(getattr(member, "limiter", member), "_refuses", True)
    return getattr(member, "burst", MOST_COST) if refuses else MOST_COST


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def told_option(headers: bool, legacy_headers: bool) -> None:
    """What clients are told; ConfigError for what would not be told."""
    flag("headers", headers), flag("legacy_headers", legacy_headers)
    if legacy_headers and not headers:
        raise ConfigError("legacy_headers: they stand beside the RateLimit fields, which headers=False leaves out")


def default_names() -> Any:
    """default, default-2, default-3, …"""
    number = 1
    while True:
        yield "default" if number == 1 else f"default-{number}"
        number += 1


async def holds(name: str, condition: Callable[[Any], Any], about: Any) -> bool:
    """What a condition says, awaited if need be. Only a bool counts: what is merely truthy, such as "no", would switch
    a limit off.
    """
    answer = condition(about)
    if inspect.isawaitable(answer):
        answer = await answer
    if answer is not True and answer is not False:
        raise TypeError(f"{name}: expected {called(condition)} to give True or False, got {answer!r}")
    return answer


def _is_keyed(limit: Any) -> bool:
    if isinstance(limit, LimitSet):
        return any(isinstance(member, RateLimiter) for member in limit.limits.values())
    return isinstance(limit, Tier) or bool(getattr(limit, "keyed", False))


def keys_option(key: Keys | None, limit: Any, client: KeyFunction) -> Any:
    """None, a function, or pairs of names and functions for the keyed limits of a set."""
    if isinstance(limit, LimitSet):
        names = [name for name, member in limit.limits.items() if isinstance(member, RateLimiter)]
        if not names:
            if key is not None:
                raise ConfigError("key: no limit of this set is keyed; leave key out")
            return None
        if not isinstance(key, Mapping):
            return tuple((name, client if key is None else function("key", key)) for name in names)
        if set(key) != set(names):
            raise ConfigError(
                f"key: this set takes a function for each of {', '.join(names)}; got {', '.join(key) or 'none'}"
            )
        return tuple((name, function(f"key[{name!r}]", key[name])) for name in names)
    if not getattr(limit, "keyed", False):
        if key is not None:
            raise ConfigError("key: this limit is one for everybody; a key needs a RateLimiter or a rate")
        return None
    return client if key is None else function("key", key)

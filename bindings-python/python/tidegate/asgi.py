"""Pure ASGI middleware: 429 above a limit, 503 while a queue takes nothing or too much is under way. Needs no
framework.

Put it outside what it protects and inside CORS, so that a browser may read a refusal::

    app.add_middleware(TidegateMiddleware, limit=TokenBucket("400/s", burst=800))
    app.add_middleware(CORSMiddleware, allow_origins=[...], expose_headers=["Retry-After", "RateLimit"])

(Starlette and FastAPI put the middleware that was added last outermost.) To limit by user, it stands inside
authentication.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from . import _notices
from ._answer import refuse, served_as
from ._degrade import OVERLOADS, Degrade, degrade_option, page_of
from ._ending import Ending
from ._fields import FIELDS, telling
from ._functions import called, optional
from ._gated import (
    DEADLINES,
    CostOf,
    DeadlineOf,
    Dependencies,
    Gated,
    PartitionsOf,
    Refused,
    admitted_by,
    not_asked,
    outcome_at_option,
)
from ._guard import Condition, Fastest, Guard, Keys, OnRefused, Refusal, holds
from ._log import log
from ._outcome import Answer
from ._partition import partition_of, partition_option
from ._routes import is_disguised
from ._shed import Priority, UserOf, level_of, priority_of, priority_option
from ._tidegate import (
    AccessList,
    Admission,
    ConcurrencyLimiter,
    Decision,
    Gate,
    HostScope,
    LoadShedder,
    ProcessScope,
    Taken,
)
from ._time import sleep_async
from .errors import ConcurrencyLimitError, ConfigError
from .headers import HeaderList, Problem
from .keys import ClientIP, client_ip
from .rules import Judge, Paths, Rule, route_path

if TYPE_CHECKING:
    from ._tidegate import _OnConflict as OnConflict

__all__ = ["KeyedLimit", "Limit", "Overload", "Refusal", "Rule", "TidegateMiddleware", "admission"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


_NO_PERMIT = nullcontext()


class Limit(Protocol):
    """One limit for everybody, such as a TokenBucket."""

    def check(self, n: int = 1) -> Decision:
        """Takes ``n``, or tells why not.

        Where it has a ``refund`` as TokenBucket does, that gives back what is not used after all; without one the
        charge is kept when another limit of the request refuses, and ``refund_on`` is an error.
        """


class KeyedLimit(Protocol):
    """A limit per key, such as a RateLimiter; ``keyed`` tells it from a plain one."""

    keyed: bool

    def check(self, key: str | bytes, n: int = 1, /) -> Decision:
        """Takes ``n`` of the key's, or tells why not."""


class Overload(Protocol):
    """Whatever knows that no more work is taken, such as a BoundedQueue."""

    @property
    def is_accepting(self) -> bool:
        """Whether a push would be taken."""

    @property
    def retry_after(self) -> float:
        """Seconds to tell a refused client."""


# A probe that is refused would have a busy process killed, and its load sent to the others.
_USUAL = ("/healthz", "/livez", "/readyz")


def _is_mounted(scope: Scope) -> bool:
    """Whether a mount of Starlette's led here: below it a path may be anything's, ``/search/healthz`` a search."""
    outer = scope.get("app_root_path")
    return outer is not None and outer != scope.get("root_path", "")


class TidegateMiddleware:
    """Refuses what is above a limit with 429, and with 503 what comes while ``queue`` is not accepting or
    ``concurrency`` is reached.

    Args:
        app: the ASGI application behind it.
        limit: a rate such as ``"400/s"`` (with ``key`` one for each key, without it one for everybody; several joined
            by ``;`` hold together), a TokenBucket, RateLimiter, Tier or LimitSet, an object with ``check``, or a
            function of the scope, sync or async, that chooses one of these for each request (None: no limit).
        rules: ``Rule``s for single routes. The first that fits decides, in place of ``limit``.
        key: whose limit it is, a function of the scope (see ``tidegate.keys``), sync or async; default ``client``. For
            a LimitSet a mapping of names to functions, or one function for all. Who has no key is counted by
            ``client``.
        cost: what a request takes, or a function of its scope, sync or async; of a gate by route as well, and 1 where
            no route fits.
        queue: a BoundedQueue, or an object with ``is_accepting`` and ``retry_after``.
        shedder: a LoadShedder, which refuses the less important when there is too much to do. It watches the loop. What
            it, ``queue`` or ``concurrency`` refuses is not charged: its cost comes back.
        priority: ``"critical"``, ``"high"``, ``"normal"`` or ``"sheddable"``; one for each route, ``{"POST /orders":
            "critical", "* /search/*": "sheddable"}``, where the first that fits decides and the rest is normal; or a
            function of the scope, sync or async, that gives one.
        user: whose level a request has, a function of the scope, sync or async, that gives a text or bytes; None:
            ``client``'s address.
        concurrency: a ConcurrencyLimiter, whose permit a request holds until the application has returned; who waits in
            vain for its ``max_wait`` gets the answer of an overload. WebSockets hold none. An adaptive one judges by
            the status of the answer: 503 and 504 are drops; other 5xx, 429 and a client that has gone say nothing.
        partition: where among the partitions of ``concurrency`` a request belongs: the name of one, or a function of
            the scope, sync or async, that gives one, or None for none; of a gate's limit by route as well.
        gate: a Gate, which decides all as one, in place of ``limit``, ``rules``, ``shedder``, ``queue``,
            ``concurrency``, ``allow`` and ``deny`` and what belongs to these; ``refund_on`` and ``dry_run`` are its
            own. 403 of its access list, 504 of a deadline, 429 of a limit, else 503, with the part's name in the
            problem body. ``key`` and ``client`` are for its keyed limits and its list, ``degrade`` for its shedder,
            queue and concurrency limit, ``on_refused`` for all of them. ``admission(scope)`` gives the route what it
            got.
        dependencies: which dependencies of the gate a request needs: names, names by route, or a function of the scope,
            sync or async, that gives them.
        deadline: which header tells the gate how long the client waits, or several (see Deadline.from_headers); or a
            function of the scope, sync or async, that gives seconds, a Deadline or None; None: nobody asks.
        outcome_at: when the gate's permit comes back, by the status of the answer: at the end of its "body", before
            background tasks, or at its "headers". A WebSocket's comes back when the handshake is answered.
        exempt: paths that are never refused, written as a Rule's, without the prefix of a mount, and met as they are
            spelled (``/%68ealthz`` is none). Default: ``/healthz``, ``/livez`` and ``/readyz`` of the whole
            application, and none below a mount. OPTIONS is exempt too: a
            refused preflight looks like a broken site.
        skip: a function of the scope, sync or async, that gives a bool: what is True passes uncounted.
        allow, deny: addresses, networks and keys (``"key:monitoring"``) that pass uncounted, or are refused with 403.
            The most specific one decides.
        client: the address that these lists judge, and the default key: ``ClientIP(trusted=[…])`` behind proxies.
        headers: add RateLimit and RateLimit-Policy to answers; ``legacy_headers`` adds X-RateLimit-* as well.
        jitter: up to this fraction longer are the times that clients are told, so that they do not return together.
        refund_on: given the status of an answer, whether its cost is given back; sync or async.
        on_refused: answers a request that a limit refuses, in place of the problem body: a function of the scope and a
            Refusal, sync or async, that gives a text, bytes, what JSON can say, or an ASGI application such as a
            Starlette Response.
        dry_run: charge and count, and refuse nothing over a limit.
        degrade: answers a request that ``shedder``, ``queue`` or ``concurrency`` refuses, in place of the refusal: a
            function of the scope, sync or async, that gives a page it has (a text, bytes, what JSON can say: a 200), an
            ASGI application, or None for the refusal. If it raises, that is logged and the client gets the refusal.
        overload_status: the status of an overload.
        burst: the most at once, for a rate given as text.
        fastest: for a rate with a key in a scope that outlives a deploy: the fastest rate that later versions may give
            it, see RateLimiter.
        name: the limit's name in the RateLimit fields and in its scope; a LimitSet's members have their own.
        scope: where a limit given as a rate keeps its state: ``"host:orders"`` is one for all workers of this machine.
        on_conflict: when it was last declared there with another rate: "error", "keep" or "apply", which is the default
            and said in the log.

    A function of yours that raises is the request's error, and leaves no charge behind; but for ``refund_on``, which
    comes after the charge and leaves it.

    A leaky bucket's delay is waited for here. A limit that a route counts too counts once for a request. WebSockets are
    limited at the handshake: refused with an HTTP answer where the server can, else with close code 1013. Other scopes
    pass. One object serves any number of event loops.
    """

    __slots__ = (
        "_access",
        "_at_body",
        "_client",
        "_concurrency",
        "_degrade",
        "_denied",
        "_exempt",
        "_exempt_below",
        "_gated",
        "_learning",
        "_overloaded",
        "_partition",
        "_plain",
        "_priority",
        "_queue",
        "_root",
        "_rules",
        "_serve",
        "_shedder",
        "_skip",
        "_user",
        "app",
    )

    def __init__(
        self,
        app: App,
        limit: Any = None,
        *,
        rules: Iterable[Rule] | None = None,
        key: Keys | None = None,
        cost: CostOf = 1,
        shedder: LoadShedder | None = None,
        priority: Priority | None = None,
        user: UserOf | None = None,
        queue: Overload | None = None,
        concurrency: ConcurrencyLimiter | None = None,
        partition: PartitionsOf | None = None,
        gate: Gate | None = None,
        dependencies: Dependencies = (),
        deadline: DeadlineOf | None = DEADLINES,
        outcome_at: Literal["body", "headers"] = "body",
        exempt: Iterable[str] = _USUAL,
        skip: Condition | None = None,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        client: ClientIP = client_ip,
        headers: bool = True,
        legacy_headers: bool = False,
        jitter: float = 0.0,
        refund_on: Judge | None = None,
        on_refused: OnRefused | None = None,
        dry_run: bool = False,
        degrade: Degrade | None = None,
        overload_status: int = 503,
        burst: int | None = None,
        fastest: Fastest | None = None,
        name: str | None = None,
        scope: str | HostScope | ProcessScope | None = None,
        on_conflict: OnConflict | None = None,
    ) -> None:
        if not callable(app) or hasattr(app, "check"):
            raise TypeError(f"app: expected an ASGI application, got {type(app).__name__}")
        is_usual = exempt is _USUAL
        allow, deny, exempt = _texts("allow", allow), _texts("deny", deny), _texts("exempt", exempt)
        if gate is not None:
            parts = {
                "limit": limit, "rules": rules, "shedder": shedder, "queue": queue, "concurrency": concurrency,
                "allow": allow, "deny": deny, "refund_on": refund_on, "dry_run": dry_run,
                "burst": burst, "fastest": fastest, "name": name, "scope": scope, "on_conflict": on_conflict,
                "overload_status": overload_status != 503,
            }  # fmt: skip
            _alone(parts)
        else:
            asks = {"dependencies": dependencies != (), "deadline": deadline != DEADLINES}
            _needs_gate({**asks, "outcome_at": outcome_at != "body"})
        if (
            limit is None
            and queue is None
            and shedder is None
            and concurrency is None
            and rules is None
            and gate is None
            and not (allow or deny)
        ):
            raise ConfigError(
                'limit, rules, shedder, queue, concurrency, gate: give at least one of them, such as limit="400/s"'
            )
        if isinstance(overload_status, bool) or not isinstance(overload_status, int):
            raise TypeError(f"overload_status: expected an int, got {type(overload_status).__name__}")
        if not 400 <= overload_status <= 599:
            raise ConfigError(f"overload_status: must be 400 to 599, got {overload_status}")
        known = [_rule(rule) for rule in _rules(rules)]
        if gate is None:
            limiters = [one for one in (concurrency, *(rule.concurrency for rule in known)) if one is not None]
            options = {
                "key": key is not None, "cost": isinstance(cost, bool) or cost != 1, "refund_on": refund_on is not None,
                "dry_run": dry_run is not False, "burst": burst is not None, "fastest": fastest is not None,
                "name": name is not None, "scope": scope is not None, "on_conflict": on_conflict is not None,
            }  # fmt: skip
            _needs(limit is not None, "the limit of all requests (rules have their own)", 'limit="400/s"', options)
            options = {"on_refused": on_refused is not None, "legacy_headers": legacy_headers, "jitter": jitter != 0}
            _needs(limit is not None or bool(known), "a limit", 'limit="400/s"', options)
            options = {"user": user is not None, "priority": priority not in (None, "normal")}
            _needs(shedder is not None, "a shedder", "shedder=LoadShedder(…)", options)
            overloads = queue is not None or shedder is not None or bool(limiters)
            options = {"degrade": degrade is not None, "overload_status": overload_status != 503}
            _needs(overloads, "a shedder, a queue or a concurrency limit", "concurrency=ConcurrencyLimiter(…)", options)
        if shedder is not None and not isinstance(shedder, LoadShedder):
            raise TypeError(f"shedder: expected a LoadShedder, got {type(shedder).__name__}")
        if concurrency is not None and not isinstance(concurrency, ConcurrencyLimiter):
            raise TypeError(f"concurrency: expected a ConcurrencyLimiter, got {type(concurrency).__name__}")
        if (
            isinstance(queue, type)
            or queue is not None
            and not (hasattr(queue, "is_accepting") and hasattr(queue, "retry_after"))
        ):
            raise TypeError(f"queue: expected a BoundedQueue, got {type(queue).__name__}")
        optional("skip", skip)
        if not callable(client) or ((allow or deny) and not callable(getattr(client, "address", None))):
            raise TypeError(f"client: expected a ClientIP, got {type(client).__name__}")
        told: dict[str, Any] = {
            "headers": headers,
            "legacy_headers": legacy_headers,
            "jitter": jitter,
            "client": client,
            "on_refused": on_refused,
        }
        # By route it is a gate's; a limit says what is wrong.
        one_cost: Any = cost
        plain = (
            None
            if limit is None
            else Rule(
                "*",
                "/*",
                limit=limit,
                burst=burst,
                fastest=fastest,
                key=key,
                cost=one_cost,
                name=name,
                scope=scope,
                on_conflict=on_conflict,
                refund_on=refund_on,
                dry_run=dry_run,
            )
        )
        self.app = app
        self._root = _own_root(app)
        self._plain = None if plain is None else (plain, plain.guard("default", **told))
        self._rules = [(rule, rule.guard(**told)) for rule in known]
        self._queue = queue
        self._exempt = Paths("exempt", exempt)
        self._exempt_below = not is_usual
        self._skip = skip
        self._client = client
        self._shedder = shedder
        self._priority = priority_option("normal" if priority is None else priority)
        self._user = optional("user", user)
        self._concurrency = concurrency
        self._partition = partition_option(partition, concurrency) if gate is None else None
        for rule, _ in self._rules:
            if rule.concurrency is None:
                partition_option(rule.partition, concurrency)
        self._degrade = degrade_option(degrade, gate)
        limiters = [one for one in (concurrency, *(rule.concurrency for rule in known)) if one is not None]
        self._learning = frozenset(id(one) for one in limiters if one.explain())
        self._access = AccessList(allow, deny) if allow or deny else None
        # Where nothing else has a say, the limit takes the request in one call.
        alone = not self._rules and skip is None and self._access is None
        guard = None if self._plain is None else self._plain[1]
        self._serve = guard.serve if guard is not None and alone else None
        self._denied = Problem.denied()
        self._overloaded = Problem.overloaded(overload_status)
        self._at_body = outcome_at_option(outcome_at)
        asked: dict[str, Any] = {"key": key, "cost": cost, "priority": priority, "user": user, "partition": partition}
        more: dict[str, Any] = {"dependencies": dependencies, "deadline": deadline, **told}
        self._gated = None if gate is None else Gated(gate, **asked, **more)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        kind = scope["type"]
        if kind == "http":
            if scope["method"] == "OPTIONS":
                return await self.app(scope, receive, send)
        elif kind != "websocket":
            if kind == "lifespan" and "app" in scope:
                _notices.check_order(scope["app"])
            return await self.app(scope, receive, send)
        exempt = self._exempt
        if (
            (
                scope["path"] in exempt.exact
                or ((exempt.patterns or scope.get("root_path") or self._root) and exempt.match(scope, self._root))
            )
            and (self._exempt_below or not _is_mounted(scope))
            and not is_disguised(scope)
        ):
            return await self.app(scope, receive, send)
        if self._gated is not None:
            return await self._through(self._gated, scope, receive, send)
        chosen, taken = self._plain, None
        guard = None if chosen is None else chosen[1]
        serve = self._serve
        if serve is not None:
            taken = serve(scope)
        if taken is None:
            skip = self._skip
            if skip is not None and await holds("skip", skip, scope):
                return await self.app(scope, receive, send)
            if self._rules:
                chosen = await self._rule_for(scope)
                guard = None if chosen is None else chosen[1]
            if guard is not None and guard.serve is not None and self._access is None:
                taken = guard.serve(scope)
        if taken is None:
            ask = None if guard is None else await guard.ask(scope)
            if self._access is not None:
                verdict = self._verdict(scope, None if ask is None else ask.keys)
                if verdict == "allow":
                    return await self.app(scope, receive, send)
                if verdict == "deny":
                    return await refuse(scope, receive, send, self._denied, None, [])
            fields: HeaderList = []
            if ask is not None:
                guard = ask.guard
                taken = guard.take(scope, ask)
                pause = None if taken.retry_after else guard.pause(taken)
                if pause is not None:
                    await pause
                fields = taken.fields
            scope[FIELDS] = fields
        else:
            fields = taken.fields
        if taken is not None and guard is not None and taken.retry_after and not guard.dry_run:
            guard.check_possible(taken)
            said = None if guard.on_refused is None else await guard.answer(scope, taken)
            return await refuse(scope, receive, send, guard.problem(taken), guard.retry_after(taken), fields, said)
        shedder = self._shedder
        if shedder is not None:
            shedder.watch()
            try:
                level = await level_of(shedder, self._user, self._client, scope)
                priority = await priority_of(self._priority, scope, self._root)
                shed = shedder.check(priority, level)
            except BaseException:
                # A fault of the application's own costs the client nothing.
                _uncharge(guard, taken)
                raise
            if not shed.allowed:
                _uncharge(guard, taken)
                return await self._overload(scope, receive, send, self._overloaded, shed.retry_after, fields)
        queue = self._queue
        if queue is not None and not queue.is_accepting:
            _uncharge(guard, taken)
            return await self._overload(scope, receive, send, self._overloaded, queue.retry_after, fields)
        if kind != "http":
            return await self.app(scope, receive, send)
        permit = None
        concurrency, partition = (None, None) if chosen is None else (chosen[0].concurrency, chosen[0].partition)
        if concurrency is None:
            concurrency = self._concurrency
            partition = self._partition if partition is None else partition
        if concurrency is not None:
            try:
                if partition is not None:
                    partition = await partition_of(partition, scope)
                permit = await concurrency.acquire_async(partition=partition)
            except ConcurrencyLimitError as refusal:
                _uncharge(guard, taken)
                return await self._overload(scope, receive, send, self._overloaded, refusal.retry_after, fields)
            except BaseException:
                # A fault of the application's own, or a client that left the line, costs nothing.
                _uncharge(guard, taken)
                raise

        # Those of the limit, and what routes add.
        told = telling(send, fields)
        answer = None
        # An adaptive limit hears how each request ended.
        if permit is not None and id(concurrency) in self._learning:
            answer = Answer(receive, told)
            receive, told = answer.receive, answer.send
        with _NO_PERMIT if permit is None else permit:
            if chosen is not None and chosen[0].refund_on is not None and guard is not None and taken is not None:
                await _with_refund(self.app, scope, receive, told, guard, taken, chosen[0].refund_on)
            else:
                await self.app(scope, receive, told)
            if answer is not None and permit is not None:
                answer.report(permit)

    async def _through(self, gated: Gated, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves what a gate decides, which has one say about a request, however often it stands in its way."""
        if admitted_by(scope, gated.gate) is not None or (
            self._skip is not None and await holds("skip", self._skip, scope)
        ):
            return await self.app(scope, receive, send)
        if gated.gate.shedder is not None:
            gated.gate.shedder.watch()
        admission, told = await gated.admit(scope, self._root)
        if isinstance(told, Refused):
            if admission.kind in OVERLOADS:
                page = await self._page(scope)
                if page is not None:
                    return await page(scope, receive, telling(send, told.fields))
            said = await gated.said(scope, admission, told)
            return await refuse(scope, receive, send, told.problem, told.retry_after, told.fields, said)
        scope[FIELDS] = told
        ending = Ending(receive, telling(send, told), admission, self._at_body)
        try:
            if admission.delay:
                await sleep_async(admission.delay, gated.clock)
            await self.app(scope, ending.receive, ending.send)
        except BaseException as error:
            ending.end(error)
            raise
        ending.end()

    async def _overload(
        self, scope: Scope, receive: Receive, send: Send, problem: Problem, retry_after: float, fields: HeaderList
    ) -> None:
        """Refuses what is too much, or serves less of it."""
        page = await self._page(scope)
        if page is None:
            return await refuse(scope, receive, send, problem, retry_after, fields)
        await page(scope, receive, telling(send, fields))

    async def _page(self, scope: Scope) -> App | None:
        """What ``degrade`` gives in place of a refusal."""
        if self._degrade is None or scope["type"] != "http":
            return None
        page = await page_of(self._degrade, scope, "an ASGI application")
        return page if page is None or callable(page) else served_as(*page)

    async def _rule_for(self, scope: Scope) -> tuple[Rule, Guard | None] | None:
        method = scope["method"] if scope["type"] == "http" else "GET"
        path = route_path(scope, self._root)
        for chosen in self._rules:
            rule = chosen[0]
            if rule.fits(method, path) and (rule.when is None or await holds("when", rule.when, scope)):
                return chosen
        return self._plain

    def __repr__(self) -> str:
        parts = {
            "limit": None if self._plain is None else self._plain[0].limit,
            "rules": [rule for rule, _ in self._rules] or None,
            "queue": self._queue,
            "shedder": self._shedder,
            "concurrency": self._concurrency,
            "gate": None if self._gated is None else self._gated.gate,
        }
        shown = [f"{name}={part!r}" for name, part in parts.items() if part is not None]
        return f"TidegateMiddleware({', '.join([f'<{called(self.app)}>', *shown])})"

    def _verdict(self, scope: Scope, keys: Any) -> str | None:
        assert self._access is not None
        address = self._client.address(scope)
        named = (keys,) if not isinstance(keys, tuple) else [key for _, key in keys]
        verdicts = [self._access.verdict(address, key) for key in named]
        return "deny" if "deny" in verdicts else next(filter(None, verdicts), None)


def _uncharge(guard: Guard | None, taken: Taken | None) -> None:
    """Gives back what was taken of a request that is not served. A limit of one's own may have no way to."""
    if guard is not None and taken is not None and hasattr(guard.limit, "refund"):
        guard.give_back(taken)


async def _with_refund(
    app: App, scope: Scope, receive: Receive, send: Send, guard: Guard, taken: Taken, refund_on: Judge
) -> None:
    started = False

    async def judge(status: int) -> None:
        if await holds("refund_on", refund_on, status):
            guard.refund(taken)

    async def send_and_judge(message: Message) -> None:
        nonlocal started
        if message["type"] == "http.response.start" and not started:
            # Before the answer is out: where this raises, the framework can still say 500, of which it is not asked
            # again.
            started = True
            await judge(message["status"])
        await send(message)

    try:
        await app(scope, receive, send_and_judge)
    except Exception:
        # What stands outside answers it with a 500.
        if not started:
            try:
                await judge(500)
            except Exception:
                # The request has its error already.
                log.exception("refund_on failed for a request that had failed; its charge is kept")
        raise


def admission(scope: Scope, gate: Gate | str | None = None) -> Admission:
    """What a gate's middleware gave a request: ``admission(request.scope).breaker("payment")``.

    Args:
        scope: the ASGI scope.
        gate: where several stand in its way, which: a Gate or its name; None: the innermost.

    Raises LookupError where none of them was asked for this request.
    """
    found = admitted_by(scope, gate)
    if found is None:
        raise LookupError(not_asked(gate))
    return found


def _alone(parts: Mapping[str, Any]) -> None:
    """What a gate has parts for cannot stand beside it: it would not be all or nothing."""
    given = ", ".join(name for name, value in parts.items() if value is not None and value is not False and value != [])
    if given:
        raise ConfigError(f"gate: it decides as one, and takes no {given} beside it; make that a part of the Gate")


def _needs_gate(asks: Mapping[str, bool]) -> None:
    given = ", ".join(name for name, is_given in asks.items() if is_given)
    if given:
        raise ConfigError(f"{given}: only a gate is asked so; give one, as in gate=Gate(…)")


def _needs(is_there: bool, part: str, example: str, options: Mapping[str, Any]) -> None:
    """ConfigError for what says something of a part that there is not: it would do nothing."""
    given = ", ".join(name for name, is_given in options.items() if is_given)
    if given and not is_there:
        raise ConfigError(f"{given}: without {part} there is nothing to say it of; give one, as in {example}")


def _own_root(app: Any) -> str:
    """The root path of the FastAPI behind, if it has one of its own: that takes the place of the server's there."""
    for _ in range(20):
        root = getattr(app, "root_path", None)
        if isinstance(root, str) and hasattr(app, "router"):
            # As it is written: Starlette takes a prefix that ends in a slash from no path but itself.
            return root
        app = getattr(app, "app", None)
    return ""


def _texts(name: str, texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError(f"{name}: expected several texts, such as ({texts!r},), got one str")
    return list(texts)


def _rules(rules: Iterable[Rule] | None) -> Iterable[Rule]:
    if isinstance(rules, Rule):
        raise TypeError("rules: expected several Rules, such as [Rule(…)], got one")
    return rules or ()


def _rule(rule: Rule) -> Rule:
    if not isinstance(rule, Rule):
        raise TypeError(f'rules: expected Rule("POST", "/login", limit="5/minute"), got {type(rule).__name__}')
    return rule

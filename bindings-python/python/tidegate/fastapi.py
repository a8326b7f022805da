"""FastAPI: limits and breakers for single routes, and answers for what routes raise. Needs ``tidegate[fastapi]``."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, get_type_hints

from fastapi import BackgroundTasks, Depends
from starlette.requests import HTTPConnection
from starlette.responses import Response

from ._fields import FIELDS, one_told
from ._functions import is_async, known_options, optional
from ._gate import outcome_of
from ._gated import GateOptions, Gated, Refused, admitted_by, not_asked
from ._guard import FAILED, Charge, Guard, LimitOptions, Refusal
from ._options import BreakerOptions
from ._sent import raised
from ._shed import Priority, UserOf, level_of, priority_of, priority_option
from ._stack import Charges, Stack, stacked
from ._tidegate import Admission, CircuitBreaker, Gate, LoadShedder, Permit
from ._time import sleep_async
from .errors import ConfigError, OverloadedError
from .keys import client_ip
from .starlette import (
    RouteLimitedError,
    charge_route,
    install_exception_handlers,
    is_unserved,
    remember,
    route_refused,
    tell,
    with_fields,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "AdmissionDependency",
    "BreakerDependency",
    "Charge",
    "RateLimit",
    "Refusal",
    "RouteLimitedError",
    "Shedding",
    "admitted",
    "breaker",
    "install_exception_handlers",
    "limit",
]

F = TypeVar("F", bound=Callable[..., Any])
# Given the error, or None.
_End: TypeAlias = Callable[["BaseException | None"], None]

# The parameter that a decorator adds to a route, for FastAPI to fill in.
_CHARGE = "tidegate_limit"


class RateLimit:
    """``Depends(RateLimit("5/minute", key=client_ip))``: a limit for the routes that share this object.

    Args:
        limit: a rate (with ``key`` one for each key, without it one for everybody; several joined by ``;`` hold
            together), a TokenBucket, RateLimiter, Tier or LimitSet to share, or a function of the ASGI scope, sync or
            async, that chooses one for each request (None: no limit).
        burst, fastest: the most at once, and the fastest that later deploys may give it, for a rate given as text.
        key: whose limit it is, a function of the ASGI scope (see ``tidegate.keys``), sync or async. A dependency before
            this one may have left the user there: ``key=lambda scope: scope["state"]["user"]``.
        cost: tokens a call takes, or a function of the scope, sync or async.
        skip: a function of the scope, sync or async, that gives a bool: what is True passes uncounted.
        name: the limit's name in the RateLimit fields of answers, and in its scope; ``headers=False`` leaves the fields
            out.
        scope: where a limit given as a rate keeps its state: ``"host:orders"`` is one for all workers of this machine.
        on_conflict, on_refused, legacy_headers, jitter, dry_run: as TidegateMiddleware's.

    Gives the route a ``Charge``, whose ``refund()`` takes it back. Raises RouteLimitedError (429) when refused. A limit
    that the middleware counted for this request already is not counted again. What another limit of the route refuses,
    or a function of that fails for, takes nothing of this one (FastAPI 0.118 or later). Safe on any thread and event
    loop.
    """

    __slots__ = ("_guard", "limit")

    def __init__(self, limit: Any, **options: Unpack[LimitOptions]) -> None:
        known_options("RateLimit", options, LimitOptions.__annotations__)
        self._guard = Guard(limit, **options)
        self.limit = self._guard.limit

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_not_here(name, 'Depends(RateLimit("5/minute"))', self))

    def __repr__(self) -> str:
        return f"RateLimit({self.limit!r}, name={self._guard.name!r})"

    async def __call__(self, connection: HTTPConnection, response: Response) -> Charge:
        """Takes the cost or raises. (A Python ``async def``: FastAPI would run anything else in a thread pool.)"""
        return await _charged(self._guard, connection, response)


class Shedding:
    """``Depends(Shedding(shedder, "high"))``: a route of that priority. Raises OverloadedError (503) when it is shed.

    Args:
        shedder: a LoadShedder; it watches the event loop.
        priority: "critical", "high", "normal" or "sheddable", or a function of the ASGI scope, sync or async, that
            gives one.
        user: whose level a request has, a function of the scope, sync or async; default: the client's address.

    Safe on any thread and event loop.
    """

    __slots__ = ("_priority", "_user", "shedder")

    def __init__(self, shedder: LoadShedder, priority: Priority = "normal", *, user: UserOf | None = None) -> None:
        if not isinstance(shedder, LoadShedder):
            raise TypeError(f"shedder: expected a LoadShedder, got {type(shedder).__name__}")
        self.shedder = shedder
        self._priority = priority_option(priority)
        self._user = optional("user", user)

    def __repr__(self) -> str:
        return f"Shedding({self.shedder!r}, {self._priority!r})"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_not_here(name, "Depends(Shedding(shedder))", self))

    async def __call__(self, connection: HTTPConnection) -> None:
        """Passes or raises."""
        scope = connection.scope
        self.shedder.watch()
        try:
            level = await level_of(self.shedder, self._user, client_ip, scope)
            self.shedder.enter(await priority_of(self._priority, scope), level)
        except OverloadedError:
            raise
        except BaseException as error:
            scope[FAILED] = error
            raise


def _not_here(name: str, example: str, dependency: object) -> str:
    """What AttributeError says; FastAPI asks what stands in ``dependencies`` for a ``dependency``."""
    if name == "dependency":
        return f"a dependency stands in Depends, as in dependencies=[{example}]; got one without"
    return f"{type(dependency).__name__!r} object has no attribute {name!r}"


async def _charged(charges: Charges, connection: HTTPConnection, response: Response) -> Charge:
    """Charges a route. Where another limit of it refuses the request after that, or a function of that raises, nothing
    stays taken.

    The invariant: not before the refusal or error has left the route, for who catches it serves the request.
    """
    charge = await charge_route(charges, connection)
    tell(charge, connection, response.raw_headers)
    # FastAPI's own, which is unwound before the refusal is answered.
    stack = connection.scope.get("fastapi_inner_astack")
    if isinstance(stack, AsyncExitStack):

        def unwound(kind: Any, error: BaseException | None, traceback: Any) -> None:
            if is_unserved(error, connection.scope):
                charge.undo(connection.scope)

        stack.push(unwound)
    return charge


class _Stacked:
    """The dependency behind decorators: what all of them ask, once."""

    __slots__ = ("_charges",)

    def __init__(self, charges: Charges) -> None:
        self._charges = charges

    async def __call__(self, connection: HTTPConnection, response: Response) -> Charge:
        return await _charged(self._charges, connection, response)


# FastAPI before 0.121 cannot read annotations that are texts at an object that it calls, and takes what they name for
# parameters of the query. (Not a decorator: under one, type checkers no longer see an `async def`.)
for _called in (RateLimit.__call__, Shedding.__call__, _Stacked.__call__):
    _called.__annotations__ = get_type_hints(_called)


def limit(limit: Any, **options: Unpack[LimitOptions]) -> Callable[[F], F]:
    """``@limit("5/minute", key=client_ip)`` under ``@app.get(…)``: the route needs no ``request`` parameter.

    It adds a dependency to the signature that FastAPI sees, so that sync and async routes, WebSockets and async keys
    all work. The arguments are RateLimit's. Several decorators in a row hold together, all or nothing. The order
    matters: FastAPI must see the decorated function, so ``@limit`` stands below ``@app.get``; the log
    says so at the start of an application in sight where it does not.
    """
    known_options("limit", options, LimitOptions.__annotations__)
    guard = Guard(limit, **options)

    def decorate(endpoint: F) -> F:
        route, guards = stacked(endpoint, guard)
        dependency = _Stacked(guards[0] if len(guards) == 1 else Stack(guards))
        signature = _signature(route)
        name = _CHARGE
        while name in signature.parameters:
            name += "_"
        charged = _parameter(name, Charge, dependency, inspect.Parameter.KEYWORD_ONLY)

        def charge_of(kwargs: dict[str, Any]) -> Charge:
            charge = kwargs.pop(name, None)
            if charge is None:
                raise RuntimeError(
                    f"{route.__qualname__}: not called by FastAPI, so there is nothing to limit; outside of a route "
                    f"call {route.__qualname__}.__wrapped__"
                )
            assert isinstance(charge, Charge)
            return charge

        if is_async(route):

            @functools.wraps(route)
            async def limited(*args: Any, **kwargs: Any) -> Any:
                charge = charge_of(kwargs)
                return _told(await route(*args, **kwargs), charge)

        else:

            @functools.wraps(route)
            def limited(*args: Any, **kwargs: Any) -> Any:
                charge = charge_of(kwargs)
                return _told(route(*args, **kwargs), charge)

        limited.__signature__ = _with(signature, charged)  # type: ignore[attr-defined]
        return remember(limited, route, guards)  # type: ignore[no-any-return]

    return decorate


def _signature(route: Callable[..., Any]) -> inspect.Signature:
    try:
        # Here, where the names in its annotations are those of its own module.
        return inspect.signature(route, eval_str=True)
    except NameError:
        return inspect.signature(route)


def _with(signature: inspect.Signature, added: inspect.Parameter) -> inspect.Signature:
    parameters = list(signature.parameters.values())
    # In front of a limit that stands further in: FastAPI asks dependencies in this order.
    at = next(
        (
            at
            for at, known in enumerate(parameters)
            if known.kind is known.VAR_KEYWORD or known.name.startswith(_CHARGE)
        ),
        len(parameters),
    )
    return signature.replace(parameters=[*parameters[:at], added, *parameters[at:]])


def _told(answer: Any, charge: Charge) -> Any:
    # FastAPI leaves a Response that the route made as it is, and drops what dependencies said of headers.
    return with_fields(answer, charge.fields) if isinstance(answer, Response) and not charge.shared else answer


def _parameter(
    name: str, kind: Any, dependency: Any, place: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD, **scope: Any
) -> inspect.Parameter:
    """One that FastAPI fills in. As a default, for ``typing`` keeps what ``Annotated`` has seen."""
    return inspect.Parameter(name, place, annotation=kind, default=Depends(dependency, **scope))


# FastAPI since 0.121 can end a dependency when the route has returned; before 0.118 it always did.
_ENDS_WITH_ROUTE: dict[str, Any] = {"scope": "function"} if "scope" in inspect.signature(Depends).parameters else {}


class _Held:
    """A dependency that holds something until the route has returned: background tasks and a body that it returned to
    be streamed come after that. For a route that *yields* its answer it is held until that is sent. (FastAPI 0.118 to
    0.120 has no place between the two: there such a body is held as well, and background tasks are not.)
    """

    _example = ""

    def __init__(self, kind: type) -> None:
        # FastAPI reads this: a dependency that gives what another one holds until the route has returned.
        self.__signature__ = inspect.Signature([_parameter("held", kind, self._hold, **_ENDS_WITH_ROUTE)])

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_not_here(name, self._example, self))

    async def __call__(self, held: Any) -> Any:
        """Gives the route what is held for it."""
        return held

    async def _take(self, connection: HTTPConnection, response: Response) -> tuple[Any, _End | None]:
        """What is held, and what ends it; None: somebody else does."""
        raise NotImplementedError

    async def _hold(
        self, connection: HTTPConnection, response: Response, tasks: BackgroundTasks
    ) -> AsyncIterator[Any]:
        """Takes before the route; ends after it, or after the answer that it yields."""
        held, end = await self._take(connection, response)
        if end is None:
            yield held
            return
        ended = functools.partial(_ended, end)
        yields = _yields(connection.scope.get("endpoint"))
        if yields or not _ENDS_WITH_ROUTE:
            # Before the route's own tasks: here an end of the dependency may come after them.
            tasks.add_task(ended)
        # FastAPI's own, which is unwound when the answer is sent; from below what the answer puts there.
        stack = connection.scope.get("fastapi_inner_astack") if yields and _ENDS_WITH_ROUTE else None
        if isinstance(stack, AsyncExitStack):
            stack.push_async_exit(ended)
        try:
            yield held
        except BaseException as error:
            end(error)
            raise
        if not isinstance(stack, AsyncExitStack):
            end(None)


async def _ended(end: _End, kind: Any = None, error: BaseException | None = None, traceback: Any = None) -> None:
    end(error)


class BreakerDependency(_Held):
    """Guards a route: no permit, no call (CircuitOpenError). Yields the Permit, for routes that know better.

    What the route raises is judged as the breaker judges it; an HTTPException below 500 (Starlette's too), a failed
    validation and a client that has gone say nothing about the dependency and are ignored. A route that answers with
    an error *response* calls
    ``permit.failure()``. The report is made when the route has returned: background tasks and a body that it returned
    to be streamed are none of its; for such a body take the breaker as a decorator below ``@app.get``. A route that
    *yields* its answer is reported when that is sent, before background tasks; there a client that leaves early counts
    as a success.
    """

    _example = 'Depends(breaker("payment"))'

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        super().__init__(Permit)

    def __repr__(self) -> str:
        return f"BreakerDependency({self.breaker!r})"

    async def _take(self, connection: HTTPConnection, response: Response) -> tuple[Permit, _End]:
        permit = self.breaker.acquire()
        return permit, functools.partial(_report, permit)


def _report(permit: Permit, error: BaseException | None) -> None:
    if error is None:
        permit.__exit__(None, None, None)
    else:
        raised(permit, error)


class AdmissionDependency(_Held):
    """Admits a route by a gate, or refuses it with the error of the part that refused (a RouteLimitedError of a limit).
    Yields the Admission: ``admission.breaker("payment")``.

    Where the middleware has asked this gate for the request already, the admission is that one, which the middleware
    ends; what a gate is known by alone, its name, is always such a one. Else it ends when the route has returned, and
    background tasks and a body that it returned to be streamed hold nothing: for such a body take the middleware. A
    route that *yields* its answer holds it until that is sent. What the route raises is judged: an HTTPException by its
    status, a timeout and a refusal as dropped. A route that answers with an error *response* calls
    ``admission.finish("failure")``.
    """

    _example = 'Depends(admitted("orders"))'

    def __init__(self, gate: Gate | str, options: GateOptions) -> None:
        if isinstance(gate, str):
            if options:
                given = ", ".join(options)
                raise ConfigError(f"{given}: the middleware asks gate {gate!r}; give it that, or the Gate here")
            self._gated = None
        else:
            self._gated = Gated(gate, **options)
        self.gate = gate
        super().__init__(Admission)

    def __repr__(self) -> str:
        return f"AdmissionDependency({self.gate!r})"

    async def _take(self, connection: HTTPConnection, response: Response) -> tuple[Admission, _End | None]:
        scope, gated = connection.scope, self._gated
        known = admitted_by(scope, self.gate)
        if known is not None:
            return known, None
        if gated is None:
            raise LookupError(not_asked(self.gate))
        if gated.gate.shedder is not None:
            gated.gate.shedder.watch()
        try:
            admission, told = await gated.admit(scope)
            refusal = None
            if isinstance(told, Refused):
                refusal = route_refused(admission, told, await gated.said(scope, admission, told))
        except BaseException as error:
            scope[FAILED] = error
            raise
        if refusal is not None:
            raise refusal
        assert not isinstance(told, Refused)
        end = functools.partial(_finish, admission)
        shared = scope.get(FIELDS)
        into = response.raw_headers if shared is None else shared
        into[:] = one_told([*into, *told])
        if admission.delay:
            try:
                await sleep_async(admission.delay, gated.clock)
            except BaseException as error:
                end(error)
                raise
        return admission, end


def _finish(admission: Admission, error: BaseException | None) -> None:
    admission.finish("success" if error is None else outcome_of(error))


def admitted(gate: Gate | str, /, **options: Unpack[GateOptions]) -> AdmissionDependency:
    """``Depends(admitted("orders"))``: what TidegateMiddleware's gate of that name gave this request.
    ``Depends(admitted(gate))`` asks the gate itself, unless the middleware has asked it already.

    Args:
        gate: a Gate, or its name.
        options: for a Gate: ``key``, ``cost``, ``priority``, ``user``, ``dependencies``, ``partition``, ``deadline``,
            ``client``, ``headers``, ``legacy_headers``, ``jitter``, ``on_refused`` as TidegateMiddleware has them.

    Refusals are answered by ``install_exception_handlers(app)``.
    """
    known_options("admitted", options, GateOptions.__annotations__)
    return AdmissionDependency(gate, options)


def _is_generator(route: Any) -> bool:
    while isinstance(route, functools.partial):
        route = route.func
    route = inspect.unwrap(route) if callable(route) else route
    return any(
        inspect.isasyncgenfunction(one) or inspect.isgeneratorfunction(one)
        for one in (route, getattr(route, "__call__", None))
    )


_is_known_generator = functools.lru_cache(1024)(_is_generator)


def _yields(route: Any) -> bool:
    """Whether the route is a generator, whose work is done while its answer is sent."""
    try:
        return _is_known_generator(route)
    except TypeError:
        # One without a hash.
        return _is_generator(route)


# As above.
_Held._hold.__annotations__ = get_type_hints(_Held._hold)


_breakers: dict[str, tuple[CircuitBreaker, BreakerOptions]] = {}
_breakers_lock = threading.Lock()


def breaker(breaker: str | CircuitBreaker, /, **config: Unpack[BreakerOptions]) -> BreakerDependency:
    """``Depends(breaker("payment", cooldown=5))``: the breaker of that name, made on first use.

    The same name is the same breaker in this process; ``config`` (the arguments of CircuitBreaker) may be left out
    after the first time, and another one for the same name is a ConfigError. A CircuitBreaker is taken as it is.
    """
    if isinstance(breaker, CircuitBreaker):
        if config:
            raise ConfigError("breaker: a CircuitBreaker already has its settings; pass them to its constructor")
        return BreakerDependency(breaker)
    if not isinstance(breaker, str):
        raise TypeError(f"breaker: expected a name or a CircuitBreaker, got {type(breaker).__name__}")
    with _breakers_lock:
        known = _breakers.get(breaker)
        if known is None:
            known = _breakers[breaker] = (CircuitBreaker(breaker, **config), config)
        elif config and config != known[1]:
            raise ConfigError(
                f"breaker {breaker!r}: already made with other settings {known[1]}; a name has one configuration"
            )
    return BreakerDependency(known[0])

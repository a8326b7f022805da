"""Pure ASGI middleware: 429 above a limit, 503 while a queue takes nothing. Needs no framework.

Put it outside what it protects and inside CORS, so that a browser may read a refusal::

    app.add_middleware(TidegateMiddleware, limit=TokenBucket("400/s", burst=800))
    app.add_middleware(CORSMiddleware, allow_origins=[...], expose_headers=["Retry-After", "RateLimit"])

(Starlette and FastAPI put the middleware that was added last outermost.)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol, TypeAlias

from ._tidegate import Decision, TokenBucket
from .errors import ConfigError
from .headers import HeaderList, Policy, Problem
from .keys import KeyFunction, client_ip

__all__ = ["KeyedLimit", "Limit", "Overload", "TidegateMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Limit(Protocol):
    """One limit for everybody, such as a TokenBucket."""

    def check(self) -> Decision:
        """Takes one token, or tells why not."""


class KeyedLimit(Protocol):
    """A limit per key; ``keyed`` tells it from a plain one."""

    keyed: bool

    def check(self, key: str, /) -> Decision:
        """Takes one of the key's tokens, or tells why not."""


class Overload(Protocol):
    """Whatever knows that no more work is taken, such as a BoundedQueue."""

    @property
    def is_accepting(self) -> bool:
        """Whether a push would be taken."""

    @property
    def retry_after(self) -> float:
        """Seconds to tell a refused client."""


class TidegateMiddleware:
    """Refuses what is above ``limit`` with 429 and what comes while ``queue`` is not accepting with 503.

    Args:
        app: the ASGI application behind it.
        limit: a rate such as ``"400/s"``, a TokenBucket, or an object with ``check`` (``Limit``, ``KeyedLimit``).
        queue: a BoundedQueue, or an object with ``is_accepting`` and ``retry_after``.
        key: whose limit it is, from the ASGI scope; for keyed limits only. No key counts as the empty one.
        exempt: paths that are never refused. OPTIONS is exempt too: a refused preflight looks like a broken site.
        headers: add RateLimit and RateLimit-Policy to answers; ``legacy_headers`` adds X-RateLimit-* as well.
        overload_status: the status of an overload.
        name: the limit's name in the RateLimit fields.

    WebSockets are limited at the handshake: refused with an HTTP answer where the server can, else with close code 1013.
    Other scopes pass. One object serves any number of event loops.
    """

    __slots__ = (
        "_app",
        "_bucket",
        "_check",
        "_exempt",
        "_fields",
        "_key",
        "_limited",
        "_overloaded",
        "_queue",
    )

    def __init__(
        self,
        app: App,
        limit: str | Limit | KeyedLimit | None = None,
        *,
        queue: Overload | None = None,
        key: KeyFunction = client_ip,
        exempt: Iterable[str] = ("/healthz",),
        headers: bool = True,
        legacy_headers: bool = False,
        overload_status: int = 503,
        name: str = "default",
    ) -> None:
        if limit is None and queue is None:
            raise ConfigError('limit, queue: give at least one of them, such as limit="400/s"')
        if isinstance(limit, str):
            limit = TokenBucket(limit)
        if limit is not None and not callable(getattr(limit, "check", None)):
            raise TypeError(f"limit: expected a rate, a TokenBucket or an object with check(), got {type(limit).__name__}")
        if queue is not None and not (hasattr(queue, "is_accepting") and hasattr(queue, "retry_after")):
            raise TypeError(f"queue: expected a BoundedQueue, got {type(queue).__name__}")
        keyed = bool(getattr(limit, "keyed", False))
        if key is not client_ip and not keyed:
            raise ConfigError("key: this limit is one for everybody; a key needs a keyed limit")
        if isinstance(exempt, str):
            raise TypeError("exempt: expected several paths, such as (\"/healthz\",), got one str")
        if isinstance(overload_status, bool) or not isinstance(overload_status, int):
            raise TypeError(f"overload_status: expected an int, got {type(overload_status).__name__}")
        if not 400 <= overload_status <= 599:
            raise ConfigError(f"overload_status: must be 400 to 599, got {overload_status}")
        self._app = app
        self._check: Any = None if limit is None else limit.check
        self._key = key if keyed else None
        self._queue = queue
        self._exempt = frozenset(exempt)
        policy = Policy(name, legacy_headers)
        self._fields = policy.headers if headers else None
        self._bucket = limit if isinstance(limit, TokenBucket) else None
        self._limited = Problem.limited(name)
        self._overloaded = Problem.overloaded(overload_status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        kind = scope["type"]
        if kind == "http":
            if scope["method"] == "OPTIONS" or scope["path"] in self._exempt:
                return await self._app(scope, receive, send)
        elif kind != "websocket" or scope["path"] in self._exempt:
            return await self._app(scope, receive, send)

        extra: HeaderList = []
        check = self._check
        if check is not None:
            key = self._key
            decision: Decision = check() if key is None else check(key(scope) or "")
            if self._fields is not None:
                extra = self._fields(decision, self._bucket)
            if not decision.allowed:
                return await _refuse(scope, receive, send, self._limited, decision.retry_after, extra)
        queue = self._queue
        if queue is not None and not queue.is_accepting:
            return await _refuse(scope, receive, send, self._overloaded, queue.retry_after, extra)
        if not extra or kind != "http":
            return await self._app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A new message: the application may keep and reuse its own.
                message = {**message, "headers": [*message.get("headers", ()), *extra]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def _refuse(
    scope: Scope, receive: Receive, send: Send, problem: Problem, retry_after: float, extra: HeaderList
) -> None:
    headers = problem.headers(retry_after) + extra
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": problem.body})
        return
    # A handshake is answered after it was received.
    await receive()
    if "websocket.http.response" in (scope.get("extensions") or ()):
        await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": problem.body})
    else:
        # 1013: try again later (IANA WebSocket close codes).
        await send({"type": "websocket.close", "code": 1013, "reason": "try again later"})

"""Refusals as ASGI messages."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from .headers import HeaderList, Problem

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    problem: Problem,
    retry_after: float | None,
    extra: HeaderList,
    said: Any = None,
) -> None:
    """Refuses a request or a handshake; ``said`` is what ``on_refused`` gave, None for the problem body."""
    headers, body = problem.headers(retry_after) + extra, problem.body
    if said is not None and not callable(said):
        content, body = encoded(said)
        headers = [(b"content-type", content), (b"content-length", b"%d" % len(body)), *headers[2:]]
    if scope["type"] == "http":
        if callable(said):
            return await _with(said, headers[2:], scope, receive, send)
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    # A handshake is answered after it was received.
    await receive()
    if "websocket.http.response" in (scope.get("extensions") or ()):
        if callable(said):
            return await _with(said, headers[2:], scope, receive, send)
        await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": body})
    else:
        # 1013: try again later (IANA WebSocket close codes).
        await send({"type": "websocket.close", "code": 1013, "reason": "try again later"})


async def tell(
    scope: Scope, receive: Receive, send: Send, status: int, content: str, body: bytes, extra: HeaderList | None = None
) -> None:
    """Answers a request with what stands now, which nobody keeps; closes a handshake."""
    if scope["type"] == "http":
        headers = [(b"content-type", content.encode()), (b"content-length", b"%d" % len(body))]
        headers += [(b"cache-control", b"no-store"), *(extra or [])]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})


def served_as(content: bytes, body: bytes) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An application that answers with a page."""
    headers = [(b"content-type", content), (b"content-length", b"%d" % len(body))]

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return serve


def encoded(said: Any, name: str = "on_refused", kind: str = "an ASGI response") -> tuple[bytes, bytes]:
    """The content type and the bytes of what ``on_refused`` gave."""
    if isinstance(said, str):
        return b"text/plain; charset=utf-8", said.encode()
    if isinstance(said, (bytes, bytearray, memoryview)):
        return b"application/octet-stream", bytes(said)
    try:
        # What JSON cannot say, NaN and lone surrogates too, is an error here and none of the client's.
        text = json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return b"application/json", text.encode()
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name}: expected a text, bytes, what JSON can say, {kind} or None, got {type(said).__name__}"
        ) from error


def texts(headers: HeaderList) -> list[tuple[str, str]]:
    """Fields as WSGI has them."""
    return [(name.decode("latin-1").title(), value.decode("latin-1")) for name, value in headers]


async def _with(application: Any, told: HeaderList, scope: Scope, receive: Receive, send: Send) -> None:
    """Somebody's own answer, with what the client is told beside it unless it says so itself."""

    async def send_told(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            own = list(message.get("headers", ()))
            names = {bytes(name).lower() for name, _ in own}
            message = {**message, "headers": [*own, *(field for field in told if field[0] not in names)]}
        await send(message)

    await application(scope, receive, send_told)

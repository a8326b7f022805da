"""A permit that is held until an answer is sent, for what frameworks send after a route has returned."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import MutableMapping
from typing import Any, Protocol

from . import _aiohttp_body, _django_body, _flask_body
from ._functions import is_lazy, refuse_lazy
from ._outcome import ENDS
from ._tidegate import Permit

_Message = MutableMapping[str, Any]

# Where a response that is held has its calls, from the innermost guard to the outermost.
_CALLS = "_tidegate_calls"


class Held(Protocol):
    """A permit of a breaker or of a concurrency limiter."""

    def release(self) -> object:
        """Gives it back, and says nothing of the call."""

    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> Any:
        """Reports the end of the call."""


def returned(permit: Held, result: Any, guarded: Any, is_over: bool = False) -> Any:
    """Reports a call of ``guarded`` that has returned, or leaves that to the end of the answer; gives what stands for
    the result. TypeError where the call of a plain function ``is_over`` with nothing done: what it gave would run
    without the permit. That goes back, and nothing is said of the call.
    """
    if is_sent_later(result):
        return _hold(permit, result)
    if _aiohttp_body.is_sent_later(result):
        return _aiohttp_body.hold(_Call(permit, result), result)
    if _django_body.is_streamed(result):
        return _django_body.hold(_Call(permit, _django_body.judged(result)), result)
    if _flask_body.is_streamed(result, guarded):
        return _flask_body.hold(_Call(permit, result), result)
    if is_over and is_lazy(result):
        permit.release()
        refuse_lazy(result)
    _end(permit, result)
    return result


def raised(permit: Held, error: BaseException) -> None:
    """Reports a call that has raised."""
    permit.__exit__(type(error), error, error.__traceback__)


def is_sent_later(result: Any) -> bool:
    """Whether it is a response of Starlette's that makes its body as it is sent: a stream, a file, or one that sends in
    a way of its own. A plain one has its body already.
    """
    kind: Any = getattr(sys.modules.get("starlette.responses"), "Response", None)
    return kind is not None and isinstance(result, kind) and type(result).__call__ is not kind.__call__


def _end(permit: Held, result: Any) -> None:
    if isinstance(permit, Permit):
        permit.result(result)
    else:
        permit.__exit__(None, None, None)


class _Call:
    """A guarded call whose answer is still to be sent. The first report counts."""

    __slots__ = ("_permit", "_result")

    def __init__(self, permit: Held, result: Any) -> None:
        self._permit, self._result = permit, result

    def ended(self) -> None:
        """All of it is sent: what the call returned is judged."""
        _end(self._permit, self._result)

    def raised(self, error: BaseException) -> None:
        """The body did not come to its end."""
        raised(self._permit, error)

    def left(self) -> None:
        """Nobody is there any more to send it to, which says nothing of the call."""
        self._permit.release()

    def __del__(self) -> None:
        # Dropped before its end, perhaps before its beginning.
        self._permit.release()


def _hold(permit: Held, response: Any) -> Any:
    """A twin of the response, which reports when it is sent: a route may give one object again and again."""
    kind: Any = type(response)
    call, twin = _Call(permit, response), copy.copy(response)
    setattr(twin, _CALLS, (*getattr(response, _CALLS, ()), call))
    if not hasattr(kind, _CALLS):
        twin.__class__ = _held(kind)
    body = getattr(response, "body_iterator", None)
    if hasattr(body, "__aiter__"):
        # Somebody may take the body alone, to send it in a response of another kind.
        twin.body_iterator = _Body(call, body)
    return twin


def _class_of(kind: Any) -> Any:
    """The class of held responses of a kind."""

    async def __call__(self: Any, scope: Any, receive: Any, send: Any) -> None:
        calls = getattr(self, _CALLS)
        is_cut = False

        async def told(message: _Message) -> None:
            nonlocal is_cut
            try:
                await send(message)
            except BaseException:
                is_cut = True
                raise
            # Before the background tasks, which are no part of the call.
            if message["type"] in ENDS and not message.get("more_body"):
                for call in calls:
                    call.ended()

        try:
            await kind.__call__(self, scope, receive, told)
        except BaseException as error:
            for call in calls:
                call.left() if is_cut else call.raised(error)
            raise
        for call in calls:
            call.left()

    own = {"__call__": __call__, "__module__": kind.__module__, "__doc__": kind.__doc__, "__slots__": (), _CALLS: ()}
    return type(kind.__name__, (kind,), own)


_held = functools.lru_cache(128)(_class_of)


class _Body:
    """A body whose end is the end of the call."""

    __slots__ = ("_body", "_call")

    def __init__(self, call: _Call, body: Any) -> None:
        self._call, self._body = call, body.__aiter__()

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._body.__anext__()
        except StopAsyncIteration:
            self._call.ended()
            raise
        except BaseException as error:
            self._call.raised(error)
            raise

    async def aclose(self) -> None:
        """Ends it early."""
        self._call.left()
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()

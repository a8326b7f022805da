"""The user's functions and switches, checked when they are given: at a request a mistake would be that request's error.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from types import AsyncGeneratorType, GeneratorType
from typing import Any, TypeVar

from ._log import say

F = TypeVar("F", bound=Callable[..., Any])

# What makes an argument and is none itself: what it makes, and how that is written.
_FACTORIES: dict[Any, tuple[str, str]] = {}
_SCOPE = "the ASGI scope"
_REQUEST_NAMES = frozenset(("request", "req", "websocket"))
_REQUESTS = frozenset(("HTTPConnection", "Request", "WebSocket"))
# What most functions return, which is asked nothing. (A tuple may begin with a response.)
PLAIN = frozenset((type(None), bool, int, float, str, bytes, list, dict))
# What does its work while it is iterated.
_GENERATORS = frozenset((GeneratorType, AsyncGeneratorType))


def makes(what: str, example: str) -> Callable[[F], F]:
    """Marks what is called to get an argument, with how that is written."""

    def remember(factory: F) -> F:
        _FACTORIES[factory] = (what, example)
        return factory

    return remember


def makes_keys(example: str) -> Callable[[F], F]:
    """Marks what is called to get a key function."""
    return makes(f"a function of {_SCOPE}", example)


def function(name: str, value: Any, takes: str = _SCOPE, number: int = 1) -> Any:
    """A function that can be called with so many arguments; TypeError for all else."""
    if isinstance(value, type) or not callable(value):
        what = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        raise TypeError(f"{name}: expected a function of {takes}, got {what}")
    made = _FACTORIES.get(value) if inspect.isfunction(value) else None
    if made is not None:
        raise TypeError(f"{name}: {value.__name__} makes {made[0]}; call it, as in {made[1]}")
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        # Some that are not written in Python have none.
        return value
    try:
        signature.bind(*[None] * number)
    except TypeError:
        raise TypeError(f"{name}: expected a function of {takes}, got {called(value)}{signature}") from None
    first = next(iter(signature.parameters.values()), None)
    if first is None or not takes.startswith(_SCOPE):
        return value
    annotation = first.annotation
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    if kind.rpartition(".")[2] in _REQUESTS:
        raise TypeError(
            f"{name}: expected a function of {takes}, got {called(value)}{signature}; make a request of it there"
        )
    if first.name in _REQUEST_NAMES and takes == _SCOPE:
        text = (
            "%s: the function %s%s is called with %s, a dict such as {'type': 'http', 'client': …}, and with no "
            "request; make one of it there, or name its parameter scope"
        )
        say(f"request {name} {called(value)}", text, name, called(value), signature, takes)
    return value


def optional(name: str, value: Any, takes: str = _SCOPE, number: int = 1) -> Any:
    """As ``function``; None stays."""
    return None if value is None else function(name, value, takes, number)


def called(value: Any) -> str:
    """A function's name in a message."""
    return getattr(value, "__qualname__", None) or type(value).__qualname__


def flag(name: str, value: Any) -> bool:
    """True or False. A text such as "no" would be true."""
    if value is not True and value is not False:
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return value


def known_options(name: str, options: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """TypeError for an option that there is not."""
    for option in options:
        if option not in known:
            raise TypeError(f"{name}() has no option {option!r}; it takes {', '.join(known)}")


def is_async(value: Any) -> bool:
    """Whether a call gives a coroutine: an ``async def``, a partial of one, an object whose ``__call__`` is one."""
    while isinstance(value, functools.partial):
        value = value.func
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(getattr(value, "__call__", None))


def not_async(made: object, instead: str) -> TypeError:
    """What an async call raises where the function gave nothing to await: the caller's mistake, and no failure."""
    return TypeError(f"call_async: the function is not async, it gave {type(made).__name__}; use `{instead}`")


def is_awaitable(value: Any) -> bool:
    """Whether it is to be awaited: of whichever class, a coroutine, a Task, a Future or what else has ``__await__``."""
    kind = type(value)
    if kind in PLAIN or not hasattr(kind, "__await__"):
        return False
    # The class of a proxy has all methods; what it stands for is asked, and may not be there.
    with contextlib.suppress(Exception):
        return hasattr(value, "__await__")
    return False


def is_lazy(result: Any) -> bool:
    """Whether it is no result but work to come."""
    return type(result) in _GENERATORS or is_awaitable(result)


def close_unawaited(value: Any) -> bool:
    """Whether it is awaitable. A coroutine, which nobody will await, is closed; a Task or Future stays who made it's.
    """
    if not is_awaitable(value):
        return False
    # Also one of a class of its own, such as what aiohttp's `session.get` gives.
    if isinstance(value, Coroutine):
        with contextlib.suppress(Exception):
            value.close()
    return True


def refuse_lazy(result: Any, who: str = "…") -> None:
    """TypeError for what a call gave whose work is not done when it returns: the caller's mistake, and no failure. Its
    outcome would count as a success, and it would run without the permit.
    """
    kind = type(result)
    if kind in PLAIN:
        return
    if kind in _GENERATORS:
        if isinstance(result, GeneratorType):
            result.close()
        raise TypeError("call: the function gave a generator, whose work is done while it is iterated, not in the call")
    if not close_unawaited(result):
        return
    if inspect.iscoroutine(result):
        raise TypeError(f"call: the function is async; use `await {who}.call_async(…)`, or decorate an `async def`")
    raise TypeError(
        f"call: the function gave an awaitable ({kind.__name__}), whose work is done while it is awaited, not in the "
        f"call; use `await {who}.call_async(…)`, or decorate an `async def` that awaits it"
    )


def decorates(who: str, instead: str, func: Any) -> bool:
    """Whether a function that is to be decorated is one of coroutines; TypeError for what cannot be."""
    if isinstance(func, type):
        raise TypeError(f"{who} decorates a function, got the class {func.__name__}")
    if not callable(func):
        raise TypeError(f"{who} decorates a function, got {type(func).__name__}")
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(
            f"{func.__name__}: a generator runs while it is iterated, not when it is called; "
            f"use `{instead}` around the part that does the work"
        )
    return is_async(func)


def wrapped(func: Any, is_async: bool, call: Callable[..., Any], call_async: Callable[..., Any]) -> Any:
    """``func`` called by one of these; an ``async def`` stays one."""
    if is_async:

        @functools.wraps(func)
        async def called_async(*args: Any, **kwargs: Any) -> Any:
            return await call_async(func, *args, **kwargs)

        return called_async

    @functools.wraps(func)
    def called(*args: Any, **kwargs: Any) -> Any:
        return call(func, *args, **kwargs)

    return called


def endpoint(value: Any) -> Any:
    """What ``@limit`` decorates; TypeError for what is no function of a request."""
    if isinstance(value, type):
        raise TypeError(
            f"limit: decorates a function, got the class {value.__name__}; decorate its methods, one by one"
        )
    if not callable(value) or hasattr(value, "routes"):
        raise TypeError(f"limit: decorates a function, got {type(value).__name__}")
    return value

"""Exception handlers for an application and for whatever is mounted below it, whenever that was mounted.

An application of Starlette answers what its own handlers do not know with a 500, before anything outside could answer.
So each router on the way gets the handlers in front of it. The invariant: the routes are looked at again before a
request is routed by ones that were not seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Router

from ._fields import FIELDS, telling
from ._refusals import handles
from .headers import HeaderList

_lock = threading.Lock()
# How many wrappers may stand round a mounted application.
_MOST_WRAPPERS = 20


class Handlers:
    """What stands in front of a router: its handlers are there, also where the application has started before, and so
    are those of what is mounted below.
    """

    __slots__ = ("_filled", "_handlers", "_inner", "_known", "_on_change", "_router")

    def __init__(
        self, router: Router, handlers: dict[type[Exception], Any], on_change: Callable[[], object] | None
    ) -> None:
        self._router, self._handlers, self._on_change = router, handlers, on_change
        # Nothing is known before the first request: until then routes are still being written.
        self._known: list[tuple[Any, list[Any]]] = [] if on_change is None else [(router, [])]
        self._filled: Any = None
        self._inner = router.middleware_stack
        router.middleware_stack = self

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        """Serves one connection: what the router's own gives to await."""
        for holder, routes in self._known:
            if holder.routes != routes:
                self._look()
                break
        own = scope.get("starlette.exception_handlers")
        if own is not None and own[0] is not self._filled:
            for refusal, handler in self._handlers.items():
                if not handles(own[0], refusal):
                    own[0][refusal] = handler
            self._filled = own[0]
        if self._on_change is not None and scope["type"] == "http" and FIELDS not in scope:
            # No middleware of ours does it: without this, answers of errors would not tell what routes have charged.
            fields: HeaderList = []
            scope[FIELDS] = fields
            send = telling(send, fields)
        return self._inner(scope, receive, send)

    def _look(self) -> None:
        """Sees all routes, those that came since the last time too."""
        with _lock:
            known: list[tuple[Any, list[Any]]] = []
            holders, seen = [self._router], {id(self._router)}
            while holders:
                holder: Any = holders.pop()
                known.append((holder, list(holder.routes)))
                for below in (found for route in holder.routes for found in _found(route)):
                    router = below.router if isinstance(below, Starlette) else below
                    if id(router) in seen:
                        continue
                    seen.add(id(router))
                    # A router without an application of its own has the handlers of the one outside.
                    holders.append(router)
                    if router is not below and not self._stands_before(router):
                        Handlers(router, self._handlers, None)
            self._known = known
        if self._on_change is not None:
            self._on_change()

    def _stands_before(self, router: Router) -> bool:
        front = router.middleware_stack
        while isinstance(front, Handlers):
            if front._handlers is self._handlers:
                return True
            front = front._inner
        return False


def _found(route: Any) -> Iterator[Any]:
    """The applications and routers behind a route: through mounts, included routers and what is wrapped round them."""
    # FastAPI keeps an included router beside the route that stands for it.
    included = getattr(route, "original_router", None)
    wrapped, seen = [included, getattr(route, "app", None) if hasattr(route, "routes") else None], 0
    while wrapped and seen < _MOST_WRAPPERS:
        below, seen = wrapped.pop(), seen + 1
        if isinstance(below, (Starlette, Router)):
            yield below
        elif callable(below) and not isinstance(below, type):
            wrapped += _wrapped(below)


def _wrapped(wrapper: Any) -> list[Any]:
    """What a middleware may call: ``app`` by custom, else what it holds, or encloses as a function."""
    app = getattr(wrapper, "app", None)
    if app is not None:
        return [app]
    cells = getattr(wrapper, "__closure__", None) or ()
    inside = [*getattr(wrapper, "__dict__", {}).values()]
    for cell in cells:
        try:
            inside.append(cell.cell_contents)
        except ValueError:
            # Not filled yet.
            continue
    return [value for value in inside if callable(value)]

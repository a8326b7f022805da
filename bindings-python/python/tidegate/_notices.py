"""What looks like a mistake and may not be one: said in the log, each once. A warning could be an error to somebody's
tests.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import weakref
from typing import Any

from ._log import say
from .keys import ClientIP


def applied(name: str, rate: str, conflict: str, burst: int | None) -> None:
    """A limit of a named scope had another rate, and has the new one now; ``burst`` is what of its burst could be had,
    where that is less.
    """
    say(
        f"applied {name} {rate}",
        "limit %r is now %s%s for every process of its scope (on_conflict='apply'): %s",
        name,
        rate,
        "" if burst is None else f" with a burst of {burst} (what it was made for holds no more; another name would)",
        # Its advice is for those whom it stops.
        conflict.partition("; ")[0],
    )


def keyless(name: str, is_keyless: bool) -> None:
    """A login limit that is one for everybody lets anyone lock all others out."""
    if is_keyless and "login" in name.lower():
        text = (
            "limit %r has no key, so it is one for everybody: whoever uses it up locks all others out. "
            "Give it key=client_ip (tidegate.keys), or another name if that is meant"
        )
        say(f"keyless {name}", text, name)


def forwarded(key: Any) -> None:
    """A server that believes the forwarding headers of everybody lets clients choose their address."""
    functions = [function for _, function in key] if isinstance(key, tuple) else [key]
    if any(isinstance(function, ClientIP) for function in functions) and believes_everybody():
        text = (
            "the server believes X-Forwarded-For from everybody (forwarded-allow-ips '*' or '0.0.0.0/0'), so any "
            "client can choose the address that it is limited by: name your proxies there, or leave it out and use "
            "ClientIP(trusted=[...])"
        )
        say("forwarded", text)


def no_address() -> None:
    """A server on a socket of the file system knows no addresses, and everybody without a key is one client."""
    text = (
        "requests come without an address, as on a unix socket, so all clients that have no key share one limit: "
        "give it client=ClientIP(trusted=['unix']) if the proxy in front writes X-Forwarded-For, or another key"
    )
    say("no address", text)


def believes_everybody() -> bool:
    """Whether uvicorn or gunicorn was told so, where that can be seen: in the environment or on the command line."""
    values = [os.environ.get("FORWARDED_ALLOW_IPS", "")]
    for at, argument in enumerate(sys.argv):
        name, has_value, value = argument.partition("=")
        if name == "--forwarded-allow-ips":
            values.append(value if has_value else " ".join(sys.argv[at + 1 : at + 2]))
    return any(_is_everybody([part.strip() for part in value.split(",")]) for value in values)


def _is_everybody(parts: list[str]) -> bool:
    """Whether a list of proxies holds a star, or networks that together are every address of IPv4 or IPv6."""
    four: list[ipaddress.IPv4Network] = []
    six: list[ipaddress.IPv6Network] = []
    for part in parts:
        try:
            network = ipaddress.ip_network(part, strict=False)
        except ValueError:
            continue
        if isinstance(network, ipaddress.IPv4Network):
            four.append(network)
        else:
            six.append(network)
    if "*" in parts or any(network.prefixlen == 0 for network in ipaddress.collapse_addresses(four)):
        return True
    return any(network.prefixlen == 0 for network in ipaddress.collapse_addresses(six))


# Routes that a `limit` decorator has limited, with what it made of them.
_limited: weakref.WeakKeyDictionary[Any, list[weakref.ref[Any]]] = weakref.WeakKeyDictionary()
_checked: weakref.WeakSet[Any] = weakref.WeakSet()
_watched: weakref.WeakSet[Any] = weakref.WeakSet()


def decorated(route: Any, limited: Any) -> None:
    """Remembers what a decorator made of a route, until the application starts."""
    try:
        _limited.setdefault(route, []).append(weakref.ref(limited))
    except TypeError:
        # A callable without weak references: its order is not watched.
        return
    # Of `remember` and of the decorator; then who wrote it, in sight of the application that has the route already.
    frame = sys._getframe(3)
    for value in (*frame.f_globals.values(), *frame.f_locals.values()):
        if callable(getattr(type(value), "build_middleware_stack", None)) and value not in _watched:
            if any(endpoint is route for endpoint in _endpoints(value, 0)):
                _watch(value)


def _watch(app: Any) -> None:
    """Looks at an application's routes when it starts. What is a route already may be limited elsewhere by intent, so
    that nothing can be said before.
    """
    _watched.add(app)
    build = app.build_middleware_stack

    def build_and_check() -> Any:
        check_order(app)
        return build()

    app.build_middleware_stack = build_and_check


def check_order(app: Any, again: bool = False) -> None:
    """Says which routes of a Starlette application stand below their limit, once for each application, and ``again``
    when routes were
    added: the router has taken the function before the decorator saw it, so that nothing limits it.
    """
    if not hasattr(app, "routes") or (app in _checked and not again):
        return
    _checked.add(app)
    endpoints = list(_endpoints(app, 0))
    for endpoint in endpoints:
        try:
            made = _limited.get(endpoint, ())
        except TypeError:
            continue
        if made and not any(limited() is known for limited in made for known in endpoints):
            say_above(endpoint)


def say_above(endpoint: Any) -> None:
    """Says that a route's limit limits nothing."""
    name = getattr(endpoint, "__qualname__", repr(endpoint))
    text = (
        "%s: the route is not limited, because @limit stands above the decorator that makes it a route; write "
        "@limit below it"
    )
    say(f"order {name} {id(endpoint)}", text, name)


def _endpoints(holder: Any, depth: int) -> Any:
    if depth > 10:
        return
    for route in getattr(holder, "routes", None) or ():
        # FastAPI keeps an included router beside the route that stands for it.
        below = getattr(route, "original_router", route)
        endpoint = getattr(route, "endpoint", None)
        if endpoint is not None:
            yield endpoint
        elif getattr(below, "routes", None):
            yield from _endpoints(below, depth + 1)

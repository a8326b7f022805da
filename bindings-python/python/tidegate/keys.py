"""Who is asking: key functions for keyed limits.

Each takes an ASGI scope and gives a key (text or bytes) or None for "not here", at once or as a coroutine; an empty key
is none. Whoever has no key is counted by the client's address, apart from all keys. Compose them:
``first_of(header("x-user-id"), client_ip)``, ``each_of(user, path)``; or write your own: ``lambda scope:
scope["session"]["id"]``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from ._functions import function, makes_keys
from ._tidegate import ClientAddress
from .errors import ConfigError

__all__ = [
    "ClientIP",
    "Key",
    "KeyFunction",
    "api_key",
    "client_ip",
    "each_of",
    "first_of",
    "header",
    "path",
    "user",
]

F = TypeVar("F", bound=Callable[..., Any])

Scope: TypeAlias = MutableMapping[str, Any]
Key: TypeAlias = str | bytes
KeyFunction: TypeAlias = Callable[[Scope], "Key | Awaitable[Key | None] | None"]


class ClientIP:
    """The client's address: the socket's peer, or what proxies that you trust say of it.

    Args:
        trusted: networks, addresses, "loopback", "private" or "unix" of your proxies. Their header is read from the
            right up to the first address that is not trusted; what a client wrote into it is never believed. None are
            trusted by
            default: a header that anyone may send identifies nobody.
        header: the one that the proxies write: "x-forwarded-for", "forwarded" (RFC 7239) or a name of your own.
        ipv6_prefix: how many leading bits of an IPv6 address make the key; a site has a /64 or more. Mapped IPv4 is
            IPv4.
        ipv4_prefix: the same of an IPv4 address.

    Raises ConfigError for a wrong network, header or prefix. Immutable: share it between threads and loops.

    Where the server resolves the client already (``uvicorn --proxy-headers --forwarded-allow-ips=…``), trust nobody
    here.
    """

    __slots__ = ("_address", "_header", "_said")

    def __init__(
        self,
        trusted: Iterable[str] = (),
        *,
        header: str = "x-forwarded-for",
        ipv6_prefix: int = 64,
        ipv4_prefix: int = 32,
    ) -> None:
        if isinstance(trusted, str | bytes) or not isinstance(trusted, Iterable):
            raise TypeError(
                f'trusted: expected several networks, such as ["10.0.0.0/8"], got one {type(trusted).__name__}'
            )
        networks = list(trusted)
        for one in networks:
            if not isinstance(one, str):
                raise TypeError(
                    f'trusted: expected networks as text, such as "10.0.0.0/8", got {one!r} of {type(one).__name__}'
                )
        self._address = ClientAddress(networks, header, ipv6_prefix=ipv6_prefix, ipv4_prefix=ipv4_prefix)
        given = {"header": header, "ipv6_prefix": ipv6_prefix, "ipv4_prefix": ipv4_prefix}
        default = {"header": "x-forwarded-for", "ipv6_prefix": 64, "ipv4_prefix": 32}
        self._said = ", ".join(
            [f"trusted={networks!r}"] * bool(networks)
            + [f"{name}={value!r}" for name, value in given.items() if value != default[name]]
        )
        read = self._address.header
        self._header = None if read is None else read.encode()

    def __call__(self, scope: Scope) -> str | None:
        """The key: ``192.0.2.7``, ``2001:db8:1:2::/64``; None where the server knows no peer and no proxy is trusted.
        """
        client = scope.get("client")
        peer = client[0] if client else ""
        wanted = self._header
        if wanted is None:
            return self._address.key(peer) or None
        return self._address.key(peer, _lines(scope, wanted)) or None

    def __repr__(self) -> str:
        return f"ClientIP({self._said})"

    @property
    def peer_only(self) -> ClientAddress | None:
        """What reads the socket's peer, where no header is read."""
        return self._address if self._header is None else None

    def address(self, scope: Scope) -> str | None:
        """The whole address, for lists; None where there is none."""
        client = scope.get("client")
        peer, wanted = client[0] if client else "", self._header
        return self._address.address(peer, [] if wanted is None else _lines(scope, wanted))


def _lines(scope: Scope, wanted: bytes) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == wanted]


client_ip = ClientIP()

# A token of RFC 9110.
_FIELD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_EMPTY: tuple[Key, Key] = ("", b"")


class Header:
    """A request header's value; made by ``header``."""

    __slots__ = ("wanted",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name: expected a header's name, got {type(name).__name__}")
        if not _FIELD.fullmatch(name):
            # No request could have it, so that everybody would go by the address.
            raise ConfigError(f'name: expected a header\'s name such as "x-user-id", got {name!r}')
        self.wanted = name.lower().encode()

    def __repr__(self) -> str:
        return f'header("{self.wanted.decode()}")'

    def __call__(self, scope: Scope) -> str | None:
        """The key; None where the header is not there, or empty."""
        for key, value in scope["headers"]:
            if key == self.wanted:
                return str(value.decode("latin-1")) or None
        return None


@makes_keys('header("x-user-id")')
def header(name: str) -> Header:
    """A request header's value, such as ``header("x-user-id")``. Only for headers that a client cannot make up."""
    return Header(name)


@makes_keys("api_key()")
def api_key(name: str = "x-api-key") -> KeyFunction:
    """An API key from its header, or from ``Authorization: Bearer``.

    Whoever invents keys gets a fresh limit with each: put the limiter behind what checks them, or limit by address too.
    """
    from_header = header(name)

    def from_request(scope: Scope) -> Key | Awaitable[Key | None] | None:
        found = from_header(scope)
        if found is not None:
            return found
        for key, value in scope["headers"]:
            if key == b"authorization" and value[:7].lower() == b"bearer ":
                return str(value[7:].strip().decode("latin-1")) or None
        return None

    return _shown_as("api_key" + (f'("{name}")' if name != "x-api-key" else "()"), from_request)


def user(scope: Scope) -> str | None:
    """Who is logged in, by Starlette's AuthenticationMiddleware (which must stand outside the limiter); else None."""
    who = scope.get("user")
    if who is None or not getattr(who, "is_authenticated", False):
        return None
    try:
        return str(who.identity)
    except NotImplementedError:  # Starlette's SimpleUser has a name and no identity.
        return str(who.display_name)


def path(scope: Scope) -> str:
    """The route's path as it was declared (``/users/{id}``), with the prefix of a mount or an included router, where
    routing has found it, else the request's. Of a mount's prefix that has parameters the names come last, after all
    that is fixed in it.
    """
    route: Any = scope.get("route")
    # FastAPI tells the path of an included router's route here; below a mount it is still the mount's.
    included: Any = (scope.get("fastapi") or {}).get("effective_route_context")
    if included is not None and (included.original_route is route or not isinstance(getattr(route, "path", None), str)):
        route = included.starlette_route or included
    declared = getattr(route, "path", None)
    return _mount(scope, declared) + declared if isinstance(declared, str) else str(scope["path"])


def _mount(scope: Scope, declared: str) -> str:
    """The prefix of the mounts on the way. Where parts of it are a client's choice, what is left of it without them,
    and their names.

    The invariant: no choice gives a key of its own. So what is left is sorted: of equal parts (``/t/t`` is a
    ``/t/{tenant}``, or a ``/{tenant}/t``) nothing says which is the chosen one.
    """
    outermost, prefix = scope.get("app_root_path"), str(scope.get("root_path") or "")
    if not isinstance(outermost, str) or not prefix.startswith(outermost):
        return ""
    prefix, names = prefix[len(outermost) :], ""
    parts = prefix.split("/")[1:]
    for name, value in (scope.get("path_params") or {}).items():
        if f"{{{name}}}" in declared or f"{{{name}:" in declared:
            continue
        names += f"/{{{name}}}"
        for chosen in value.split("/") if isinstance(value, str) else (value,):
            written = max((part for part in parts if _reads(part, chosen)), key=len, default=None)
            if written is None:
                # A convertor of the application's own has changed it: all of it may be chosen.
                parts.clear()
            else:
                parts.remove(written)
    return "".join(f"/{part}" for part in sorted(parts, reverse=True)) + names if names else prefix


def _reads(part: str, value: Any) -> bool:
    """Whether Starlette's convertors make the value of this part; of several texts the same: 7 of 007."""
    if not isinstance(value, (int, float, UUID)):
        return bool(part == value)
    try:
        return bool(type(value)(part) == value)
    except ValueError:
        return False


@makes_keys("first_of(user, client_ip)")
def first_of(*functions: KeyFunction) -> KeyFunction:
    """The first key that is there: ``first_of(header("x-user-id"), client_ip)``. An empty one is not there. Awaits what
    is to be awaited.
    """

    _all_functions("first_of", functions)

    def first(scope: Scope) -> Key | Awaitable[Key | None] | None:
        for at, function in enumerate(functions):
            key = function(scope)
            if inspect.isawaitable(key):
                return rest(scope, key, at + 1)
            # What is no key is returned as well: whoever asks names it.
            if key is not None and key not in _EMPTY:
                return key
        return None

    async def rest(scope: Scope, waiting: Awaitable[Key | None], at: int) -> Key | None:
        key = await waiting
        for function in functions[at:]:
            if key is not None and key not in _EMPTY:
                return key
            key = await resolve(function, scope)
        return None if key in _EMPTY else key

    return _shown_as(f"first_of({_names(functions)})", first)


@makes_keys("each_of(user, path)")
def each_of(*functions: KeyFunction) -> KeyFunction:
    """One key of several: ``each_of(user, path)`` limits each user on each route. What is not there counts as empty."""

    _all_functions("each_of", functions)

    async def each(scope: Scope) -> bytes:
        # Lengths in front: no choice of parts looks like another one.
        parts = [_bytes(await resolve(function, scope)) for function in functions]
        return b"".join(b"%d:%b" % (len(part), part) for part in parts)

    return _shown_as(f"each_of({_names(functions)})", each)


def _names(functions: tuple[Any, ...]) -> str:
    return ", ".join(getattr(one, "__qualname__", None) or repr(one) for one in functions)


def _shown_as(text: str, function: F) -> F:
    """A function whose repr says how it was made."""
    function.__qualname__ = text
    return function


def _all_functions(name: str, functions: tuple[Any, ...]) -> None:
    if not functions:
        raise ConfigError(f"{name}: give it at least one key function, such as client_ip")
    for each in functions:
        function(name, each)


def _bytes(key: Key | None) -> bytes:
    # As the limits read text themselves, but for lone surrogates, which only keep their difference.
    return key if isinstance(key, bytes) else (key or "").encode("utf-8", "surrogatepass")


def written(text: str, client: KeyFunction) -> KeyFunction:
    """A key as a policy file writes it: ``client_ip``, ``user``, ``route``, ``header:NAME``, or ``first_of(…, …)``."""
    if text.startswith("first_of("):
        return first_of(*(written(one.strip(), client) for one in text[len("first_of(") : -1].split(",")))
    if text.startswith("header:"):
        return header(text.removeprefix("header:"))
    return {"client_ip": client, "user": user, "route": path}[text]


async def resolve(function: KeyFunction, scope: Scope) -> Key | None:
    """What a key function says, awaited if need be."""
    return await settled(function(scope))


async def settled(key: Key | Awaitable[Key | None] | None) -> Key | None:
    """A key that may still have to be awaited."""
    if inspect.isawaitable(key):
        key = await key
    if key is None or isinstance(key, (str, bytes)):
        return key
    raise TypeError(f"key: expected a function that gives a str, bytes or None, got {type(key).__name__}")

"""How requests are named by their method and path: in rules, among exempt paths, in what is given by route."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, TypeAlias

from .errors import ConfigError

Scope: TypeAlias = MutableMapping[str, Any]

_PLACEHOLDER = re.compile(r"\{[^{}/]*\}|/\*$")
# What other frameworks write in place of braces, and a query: each would fit no request, and its limit would limit
# nothing.
_FOREIGN = re.compile(r"(?<=/)(?::[A-Za-z_]\w*(?=/|$)|<[^/]*>)|[?#].*")
# A token of RFC 9110, without the star, which stands for all methods.
_METHOD = re.compile(r"[!#$%&'+.^_`|~0-9A-Za-z-]+")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Starlette's convertors, where it is not loaded; else what stands in its table counts.
_CONVERTORS = {
    "": "[^/]+",
    "str": "[^/]+",
    "path": ".*",
    "int": "[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}",
}


class Paths:
    """Paths as rules write them, to ask whether a request's is among them."""

    __slots__ = ("exact", "patterns")

    def __init__(self, name: str, paths: Iterable[str]) -> None:
        read = [path_of(name, path) for path in paths]
        self.exact = frozenset(path for path, pattern in read if pattern is None)
        self.patterns = [pattern for _, pattern in read if pattern is not None]

    def match(self, scope: Scope, root: str = "") -> bool:
        """Whether its path, without the prefix of a mount, is one of these; ``exact`` alone is enough where there is
        neither a pattern nor a prefix.
        """
        path = route_path(scope, root)
        return path in self.exact or any(pattern.fullmatch(path) is not None for pattern in self.patterns)


class ByRoute:
    """Values by route, ``{"POST /orders": value}``: a method, or a star for all, a space, and a path as rules write it.
    The first that fits decides. Before a WSGI application one fits with and without a slash at the end.
    """

    __slots__ = ("_routes", "given")

    def __init__(self, name: str, given: Mapping[str, Any]) -> None:
        self.given = given
        self._routes = [(*_route(name, route), value) for route, value in given.items()]

    def of(self, scope: Scope, otherwise: Any, root: str = "") -> Any:
        """That of a request; ``otherwise`` where no route fits."""
        # A handshake is a GET.
        method, path = scope.get("method", "GET"), route_path(scope, root)
        # WSGI does not tell whose router comes next, and some serve both /login and /login/.
        other = _other_end(path) if "environ" in scope else path
        for methods, exact, pattern, value in self._routes:
            if (methods is None or method in methods) and (
                fits(exact, pattern, path) or (other != path and fits(exact, pattern, other))
            ):
                return value
        return otherwise

    def __repr__(self) -> str:
        return repr(self.given)


def _other_end(path: str) -> str:
    return path[:-1] if path.endswith("/") else path + "/"


def _route(name: str, route: Any) -> tuple[frozenset[str] | None, str, re.Pattern[str] | None]:
    if not isinstance(route, str):
        raise TypeError(f'{name}: expected routes as texts, such as "POST /orders", got {type(route).__name__}')
    method, space, path = route.partition(" ")
    if not space or (method != "*" and not _METHOD.fullmatch(method)):
        raise ConfigError(
            f'{name}: a route is a method, or a star for all, a space and a path, as in "POST /orders" or "* /api/*"; '
            f"got {route!r}"
        )
    return (methods_of(method), *path_of(name, path))


# Letters, digits and -._~, which no client needs to encode (RFC 3986, 2.3).
_NEEDLESS = re.compile(rb"%(?:2[DE]|3\d|[46][1-9A-F]|[57][0-9A]|5F|7E)", re.IGNORECASE)


def is_disguised(scope: Scope) -> bool:
    """Whether its path was written with percents where none are needed: some routers take it for another path."""
    raw: bytes | None = scope.get("raw_path")
    return raw is not None and b"%" in raw and _NEEDLESS.search(raw.partition(b"?")[0]) is not None


def route_path(scope: Scope, root: str = "") -> str:
    """The path as the application that stands here routes it: without the prefix of a mount or of ``--root-path``, or
    of its own ``root`` in their place.
    """
    path: str = scope["path"]
    root = root or scope.get("root_path") or ""
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def fits(exact: str, pattern: re.Pattern[str] | None, path: str) -> bool:
    """Whether a path is the one that ``path_of`` has read."""
    # Starlette's patterns end in `$`, which a newline may follow: /login%0A is /login to its router, and so it is here.
    # The newline may be a part of its own too: /users/%0A is a /users/{id}.
    for one in (path, path[:-1]) if path.endswith("\n") else (path,):
        if one == exact if pattern is None else pattern.fullmatch(one) is not None:
            return True
    return False


def methods_of(method: str | Iterable[str]) -> frozenset[str] | None:
    """The methods that a rule names; None: all. GET is HEAD too, or that would be the way round."""
    names = {method} if isinstance(method, str) else set(method)
    for name in names or {""}:
        # A text that is no method fits no request, and its limit would limit nothing.
        if not isinstance(name, str) or (name != "*" and not _METHOD.fullmatch(name)):
            raise ConfigError(
                f'method: expected "POST", several as a tuple such as ("PUT", "PATCH"), or "*"; got {name!r}'
            )
    names = {name.upper() for name in names}
    if "*" in names:
        return None
    return frozenset(names | {"HEAD"} if "GET" in names else names)


def path_of(name: str, path: str) -> tuple[str, re.Pattern[str] | None]:
    """A path as rules write it, and what fits it where it is more than itself."""
    if not isinstance(path, str):
        raise TypeError(f"{name}: expected a str, got {type(path).__name__}")
    if not path.startswith("/"):
        raise ConfigError(f'{name}: must begin with a slash, as in "/login", "/users/{{id}}" or "/api/*"; got {path!r}')
    foreign = _FOREIGN.search(path)
    if foreign is not None:
        raise ConfigError(
            f'{name}: {foreign.group()!r} would only fit itself; a part that may be anything is written "{{id}}", and '
            f"what follows a question mark belongs to no path; got {path!r}"
        )
    pattern, at = "", 0
    for placeholder in _PLACEHOLDER.finditer(path):
        pattern += re.escape(path[at : placeholder.start()])
        pattern += "(?:/.*)?" if placeholder.group() == "/*" else f"(?:{_part(name, placeholder.group()[1:-1], path)})"
        at = placeholder.end()
    rest = path[at:]
    if set(path[: at - 2 if path.endswith("/*") else at]) & set("*") or set(rest) & set("{}*"):
        raise ConfigError(
            f'{name}: braces stand for one part, as in "/users/{{id}}", and a star ends a path, as in "/api/*"; got '
            f"{path!r}"
        )
    return path, re.compile(pattern + re.escape(rest), re.DOTALL) if at else None


def _part(name: str, part: str, path: str) -> str:
    """What may stand in place of braces; ConfigError for what no router of Starlette would take either."""
    parameter, _, convertor = part.partition(":")
    if not _NAME.fullmatch(parameter) or ":" in convertor:
        raise ConfigError(
            f'{name}: braces hold a name and perhaps a convertor, as in "/users/{{id:int}}"; got {path!r}'
        )
    # Starlette's table first: an application may put a convertor of its own under a name that Starlette has.
    convertors = getattr(sys.modules.get("starlette.convertors"), "CONVERTOR_TYPES", {})
    own = convertors.get(convertor or "str")
    if own is not None:
        return str(own.regex)
    known = _CONVERTORS.get(convertor)
    if known is None:
        names = ", ".join(sorted({*_CONVERTORS, *convertors} - {""}))
        raise ConfigError(f"{name}: unknown convertor {convertor!r} in {path!r}; known are {names}")
    return known

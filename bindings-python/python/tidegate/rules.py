"""Which requests a limit is for: rules for TidegateMiddleware, the first one that fits decides."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ._functions import optional
from ._guard import Condition, Cost, Fastest, Guard, Keys, OnRefused
from ._limit import check_limit, check_rate, check_refund
from ._partition import PartitionOf, partition_option
from ._tidegate import ConcurrencyLimiter, HostScope, ProcessScope
from .errors import ConfigError

if TYPE_CHECKING:
    from ._tidegate import _OnConflict as OnConflict

__all__ = ["Condition", "Paths", "Rule", "route_path"]

Scope: TypeAlias = MutableMapping[str, Any]
Judge: TypeAlias = Callable[[int], "bool | Awaitable[bool]"]

_PLACEHOLDER = re.compile(r"\{[^{}/]*\}|/\*$")
# What other frameworks write in place of braces, and a query: each would fit no request, and its limit would limit nothing.
_FOREIGN = re.compile(r"(?<=/)(?::[A-Za-z_]\w*(?=/|$)|<[^/]*>)|[?#].*")
# A token of RFC 9110, without the star, which stands for all methods.
_METHOD = re.compile(r"[!#$%&'+.^_`|~0-9A-Za-z-]+")
_NOTHING: Any = object()
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


class Rule:
    """Requests with a method and a path have a limit of their own, in place of the middleware's.

    Args:
        method: "GET" (HEAD is one too, or it would be the way round), several of them, or "*" for all.
        path: "/login" itself; "/users/{id}" with anything but a slash in place of the braces; "/api/*" and all below.
            Starlette's convertors say what a part may be: "{id:int}", "{p:path}" (slashes too), those that the
            application registered before.
        limit: as TidegateMiddleware's; None exempts. To hold the middleware's limit as well, put both into a LimitSet.
        burst, fastest, key, cost, name, scope, on_conflict, on_refused, dry_run: as TidegateMiddleware's; without a name
            the fields show the path.
        skip: a function of the scope, sync or async, that gives a bool: what is True passes this rule's limit
            uncounted.
        when: a further condition, a function of the scope, sync or async, that gives a bool; where it is False the next
            rule is asked.
        refund_on: given the status of an answer, whether its cost is given back: ``lambda status: status < 400`` lets
            failed logins count alone. An exception that leaves the application is a 500.
        concurrency: a ConcurrencyLimiter for these requests, in place of the middleware's. With one, ``limit`` may be
            left out, and there is none.
        partition: where these requests belong among the partitions of ``concurrency``, or of the middleware's where the
            rule has none of its own: a name, or a function of the scope as the middleware's. ``limit`` may be left out
            here too.

    ``Rule("POST", "/login", limit="5/minute", key=client_ip)``
    """

    __slots__ = (
        "_exact",
        "_methods",
        "_options",
        "_pattern",
        "concurrency",
        "limit",
        "method",
        "partition",
        "path",
        "refund_on",
        "when",
    )

    def __init__(
        self,
        method: str | Iterable[str],
        path: str,
        *,
        limit: Any = _NOTHING,
        burst: int | None = None,
        fastest: Fastest | None = None,
        key: Keys | None = None,
        cost: Cost = 1,
        skip: Condition | None = None,
        name: str | None = None,
        scope: str | HostScope | ProcessScope | None = None,
        on_conflict: OnConflict | None = None,
        on_refused: OnRefused | None = None,
        when: Condition | None = None,
        refund_on: Judge | None = None,
        dry_run: bool = False,
        concurrency: ConcurrencyLimiter | None = None,
        partition: PartitionOf | None = None,
    ) -> None:
        if concurrency is not None and not isinstance(concurrency, ConcurrencyLimiter):
            raise TypeError(f"concurrency: expected a ConcurrencyLimiter, got {type(concurrency).__name__}")
        if limit is _NOTHING:
            if concurrency is None and partition is None:
                raise TypeError(
                    'Rule() needs a limit, such as limit="5/minute", a concurrency or a partition; limit=None exempts'
                )
            limit = None
        self.concurrency = concurrency
        # Without a limiter of its own the middleware knows the names.
        self.partition = partition if concurrency is None else partition_option(partition, concurrency)
        self.path, self.limit, self.when, self.refund_on = path, limit, when, refund_on
        if not isinstance(method, (str, Iterable)):
            raise ConfigError(
                f'method: expected "POST", several as a tuple such as ("PUT", "PATCH"), or "*"; got {method!r}'
            )
        if limit is not None:
            check_limit(limit)
        if isinstance(limit, str):
            check_rate(limit, burst)
        if refund_on is not None:
            check_refund("refund_on", limit)
        self.method = method if isinstance(method, str) else tuple(method)
        self._methods = _methods(self.method)
        self._exact, self._pattern = _path("path", path)
        self._options: dict[str, Any] = {
            "burst": burst, "fastest": fastest, "key": key, "cost": cost, "skip": skip, "name": name, "scope": scope,
            "on_conflict": on_conflict, "dry_run": dry_run, "called": path,
        }  # fmt: skip
        if on_refused is not None:
            self._options["on_refused"] = on_refused
        optional("when", when)
        optional("refund_on", refund_on, "a status")

    def __repr__(self) -> str:
        default = {"cost": 1, "dry_run": False, "called": self.path}
        options = [f"{name}={value!r}" for name, value in self._options.items() if value != default.get(name)]
        named = ("when", "refund_on", "concurrency", "partition")
        own = [f"{name}={value!r}" for name in named if (value := getattr(self, name)) is not None]
        return f"Rule({', '.join([repr(self.method), repr(self.path), f'limit={self.limit!r}', *options, *own])})"

    def fits(self, method: str, path: str) -> bool:
        """Whether the rule is for such a request (and ``when`` has the last word)."""
        if self._methods is not None and method not in self._methods:
            return False
        return _fits(self._exact, self._pattern, path)

    def guard(self, called: str | None = None, **told: Any) -> Guard | None:
        """The limit made ready, with what clients are told; None exempts."""
        own = {} if called is None else {"called": called}
        return None if self.limit is None else Guard(self.limit, **{**told, **self._options, **own})


class Paths:
    """Paths as rules write them, to ask whether a request's is among them."""

    __slots__ = ("exact", "patterns")

    def __init__(self, name: str, paths: Iterable[str]) -> None:
        read = [_path(name, path) for path in paths]
        self.exact = frozenset(path for path, pattern in read if pattern is None)
        self.patterns = [pattern for _, pattern in read if pattern is not None]

    def match(self, scope: Scope, root: str = "") -> bool:
        """Whether its path, without the prefix of a mount, is one of these; ``exact`` alone is enough where there is
        neither a pattern nor a prefix.
        """
        path = route_path(scope, root)
        return path in self.exact or any(pattern.fullmatch(path) is not None for pattern in self.patterns)


def route_path(scope: Scope, root: str = "") -> str:
    """The path as the application that stands here routes it: without the prefix of a mount or of ``--root-path``, or
    of its own ``root`` in their place.
    """
    path: str = scope["path"]
    root = root or scope.get("root_path") or ""
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path


def _fits(exact: str, pattern: re.Pattern[str] | None, path: str) -> bool:
    # Starlette's patterns end in `$`, which a newline may follow: /login%0A is /login to its router, and so it is here.
    # The newline may be a part of its own too: /users/%0A is a /users/{id}.
    for one in (path, path[:-1]) if path.endswith("\n") else (path,):
        if one == exact if pattern is None else pattern.fullmatch(one) is not None:
            return True
    return False


def _methods(method: str | Iterable[str]) -> frozenset[str] | None:
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


def _path(name: str, path: str) -> tuple[str, re.Pattern[str] | None]:
    if not isinstance(path, str):
        raise TypeError(f"{name}: expected a str, got {type(path).__name__}")
    if not path.startswith("/"):
        raise ConfigError(f'{name}: must begin with a slash, as in "/login", "/users/{{id}}" or "/api/*"; got {path!r}')
    foreign = _FOREIGN.search(path)
    if foreign is not None:
        raise ConfigError(
            f'{name}: {foreign.group()!r} would only fit itself; a part that may be anything is written "{{id}}", and what follows a '
            f"question mark belongs to no path; got {path!r}"
        )
    pattern, at = "", 0
    for placeholder in _PLACEHOLDER.finditer(path):
        pattern += re.escape(path[at : placeholder.start()])
        pattern += "(?:/.*)?" if placeholder.group() == "/*" else f"(?:{_part(name, placeholder.group()[1:-1], path)})"
        at = placeholder.end()
    rest = path[at:]
    if set(path[: at - 2 if path.endswith("/*") else at]) & set("*") or set(rest) & set("{}*"):
        raise ConfigError(
            f'{name}: braces stand for one part, as in "/users/{{id}}", and a star ends a path, as in "/api/*"; got {path!r}'
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

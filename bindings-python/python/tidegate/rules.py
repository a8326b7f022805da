"""Which requests a limit is for: rules for TidegateMiddleware, the first one that fits decides."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from ._guard import Cost, Guard, Keys
from ._tidegate import HostScope
from .errors import ConfigError

__all__ = ["Rule"]

Scope: TypeAlias = MutableMapping[str, Any]
Condition: TypeAlias = Callable[[Scope], "bool | Awaitable[bool]"]

_PLACEHOLDER = re.compile(r"\{[^{}/]*\}|/\*$")


class Rule:
    """Requests with a method and a path have a limit of their own, in place of the middleware's.

    Args:
        method: "GET" (HEAD is one too, or it would be the way round), several of them, or "*" for all.
        path: "/login" itself; "/users/{id}" with anything but a slash in place of the braces; "/api/*" and all below.
        limit: as TidegateMiddleware's; None exempts. To hold the middleware's limit as well, put both into a LimitSet.
        burst, key, cost, name, scope, dry_run: as TidegateMiddleware's; without a name the fields show the path.
        when: a further condition, a function of the scope, sync or async; where it is false the next rule is asked.
        refund_on: given the status of an answer, whether its cost is given back: ``lambda status: status < 400`` lets failed
            logins count alone. An exception that leaves the application is a 500.

    ``Rule("POST", "/login", limit="5/minute", key=client_ip)``
    """

    __slots__ = ("_exact", "_methods", "_options", "_pattern", "limit", "method", "path", "refund_on", "when")

    def __init__(
        self,
        method: str | Iterable[str],
        path: str,
        *,
        limit: Any,
        burst: int | None = None,
        key: Keys | None = None,
        cost: Cost = 1,
        name: str | None = None,
        scope: str | HostScope | None = None,
        when: Condition | None = None,
        refund_on: Callable[[int], bool] | None = None,
        dry_run: bool = False,
    ) -> None:
        self.method, self.path, self.limit, self.when, self.refund_on = method, path, limit, when, refund_on
        self._methods = _methods(method)
        self._exact, self._pattern = _path(path)
        self._options: dict[str, Any] = {
            "burst": burst, "key": key, "cost": cost, "name": name, "scope": scope, "dry_run": dry_run, "called": path
        }
        if when is not None and not callable(when):
            raise TypeError(f"when: expected a function of the ASGI scope, got {type(when).__name__}")
        if refund_on is not None and not callable(refund_on):
            raise TypeError(f"refund_on: expected a function of a status, got {type(refund_on).__name__}")

    def fits(self, method: str, path: str) -> bool:
        """Whether the rule is for such a request (and ``when`` has the last word)."""
        if self._methods is not None and method not in self._methods:
            return False
        return path == self._exact if self._pattern is None else self._pattern.fullmatch(path) is not None

    def guard(self, **told: Any) -> Guard | None:
        """The limit made ready, with what clients are told; None exempts."""
        return None if self.limit is None else Guard(self.limit, **{**self._options, **told})


def _methods(method: str | Iterable[str]) -> frozenset[str] | None:
    names = {method} if isinstance(method, str) else set(method)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError('method: expected "POST", several such as ("PUT", "PATCH"), or "*"')
    names = {name.upper() for name in names}
    if "*" in names:
        return None
    return frozenset(names | {"HEAD"} if "GET" in names else names)


def _path(path: str) -> tuple[str, re.Pattern[str] | None]:
    if not isinstance(path, str):
        raise TypeError(f"path: expected a str, got {type(path).__name__}")
    if not path.startswith("/"):
        raise ConfigError(f'path: must begin with a slash, as in "/login", "/users/{{id}}" or "/api/*"; got {path!r}')
    pattern, at = "", 0
    for placeholder in _PLACEHOLDER.finditer(path):
        pattern += re.escape(path[at : placeholder.start()])
        pattern += "(?:/.*)?" if placeholder.group() == "/*" else "[^/]+"
        at = placeholder.end()
    rest = path[at:]
    if set(rest) & set("{}*"):
        raise ConfigError(f'path: braces stand for one part, as in "/users/{{id}}", and a star ends a path, as in "/api/*"; got {path!r}')
    return path, re.compile(pattern + re.escape(rest), re.DOTALL) if at else None

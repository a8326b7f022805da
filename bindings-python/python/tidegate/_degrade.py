"""Brown-out: what stands in for a refusal when there is too much to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ._answer import Scope, encoded
from ._functions import called, optional
from ._log import log
from .errors import ConfigError

if TYPE_CHECKING:
    from ._tidegate import Gate

# Given the scope: a page, an application of the framework, or None for the refusal.
Degrade: TypeAlias = Callable[[Scope], Any]

# The parts of a gate whose refusals it stands in for: there is too much to do here. What a dependency that is down
# costs, and a client's own doing, are others' to answer.
OVERLOADS = frozenset({"shedder", "queue", "concurrency"})


def degrade_option(degrade: Any, gate: Gate | None) -> Any:
    """``degrade`` as a middleware takes it; ConfigError where the gate has no part whose refusals it stands in for."""
    # A gate that is none is told by who asks it.
    parts = [getattr(gate, name, gate) for name in ("shedder", "queue", "concurrency")]
    if degrade is not None and gate is not None and all(part is None for part in parts):
        raise ConfigError("degrade: it stands in for a shedder, a queue or a concurrency limit; give the gate one")
    return optional("degrade", degrade)


async def page_of(degrade: Degrade | None, scope: Scope, kind: str) -> Any:
    """What ``degrade`` gives in place of a refusal: an application, a content type and a body, or None. It costs nobody
    the refusal: if it raises, or gives what cannot be sent, that is logged.
    """
    if degrade is None:
        return None
    try:
        page = degrade(scope)
        if inspect.isawaitable(page):
            page = await page
        return page if page is None or callable(page) else encoded(page, "degrade", kind)
    except Exception:
        log.exception("degrade: %s raised; its requests are refused", called(degrade))
        return None

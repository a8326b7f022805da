"""Brown-out: what stands in for a refusal when there is too much to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

from ._answer import Scope, encoded
from ._functions import called
from ._log import log

# Given the scope: a page, an application of the framework, or None for the refusal.
Degrade: TypeAlias = Callable[[Scope], Any]

# The parts of a gate whose refusals it stands in for: there is too much to do here. What a dependency that is down
# costs, and a client's own doing, are others' to answer.
OVERLOADS = frozenset({"shedder", "queue", "concurrency"})


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

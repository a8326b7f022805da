"""Flask: which views have a limit above the decorator that made them views, where it limits nothing."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from flask import request_started

from ._notices import say_above

# Functions that a `limit` has limited, with what it made of them.
_limited: weakref.WeakKeyDictionary[Any, list[weakref.ref[Any]]] = weakref.WeakKeyDictionary()
# Applications, with how many views they had, and how many functions were limited, when they were looked at.
_checked: weakref.WeakKeyDictionary[Any, tuple[int, int]] = weakref.WeakKeyDictionary()


def decorated(view: Callable[..., Any], limited: Callable[..., Any]) -> None:
    """Remembers what a decorator made of a function, until requests come. Before that nothing can be said: what is a
    view already may be limited elsewhere by intent, and a blueprint's views are in no application yet.
    """
    try:
        _limited.setdefault(view, []).append(weakref.ref(limited))
    except TypeError:
        # A callable without weak references: its order is not watched.
        return
    request_started.connect(_check)


def _check(app: Any, **_: Any) -> None:
    """Looks at an application's views at its first request, and again when there are others."""
    views = app.view_functions
    seen = len(views), len(_limited)
    if _checked.get(app) == seen:
        return
    _checked[app] = seen
    known = list(views.values())
    for view in known:
        try:
            made = _limited.get(view, ())
        except TypeError:
            continue
        if made and not any(limited() is one for limited in made for one in known):
            say_above(view)

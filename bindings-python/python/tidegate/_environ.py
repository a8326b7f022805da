"""A WSGI request as ASGI would have told of it, for functions that are asked of either."""

from __future__ import annotations

from collections.abc import Coroutine, MutableMapping
from typing import Any, TypeVar

from ._gated import ADMISSIONS

T = TypeVar("T")


def scope_of(environ: MutableMapping[str, Any]) -> dict[str, Any]:
    """A request as ASGI would have told of it."""
    root, path = _decoded(environ.get("SCRIPT_NAME", "")), _decoded(environ.get("PATH_INFO", ""))
    headers = [
        (name[5:].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in environ.items()
        if name.startswith("HTTP_") and isinstance(value, str)
    ]
    headers += [
        (name.replace("_", "-").lower().encode(), environ[name].encode("latin-1", "replace"))
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        if environ.get(name)
    ]
    peer, port = environ.get("REMOTE_ADDR") or "", str(environ.get("REMOTE_PORT") or "")
    return {
        "type": "http",
        "method": environ.get("REQUEST_METHOD", "GET"),
        "scheme": environ.get("wsgi.url_scheme", "http"),
        "path": root + path,
        "root_path": root,
        # As gunicorn and others have it; no part of PEP 3333.
        "raw_path": (environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").encode("latin-1", "replace"),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1", "replace"),
        "headers": headers,
        "client": (peer, int(port) if port.isdecimal() else 0) if peer else None,
        "environ": environ,
        # One list, however many middlewares read the request.
        ADMISSIONS: environ.setdefault(ADMISSIONS, []),
    }


def _decoded(text: str) -> str:
    # PEP 3333: bytes as latin-1.
    return text.encode("latin-1", "replace").decode("utf-8", "replace")


def at_once(asked: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing."""
    try:
        asked.send(None)
    except StopIteration as done:
        given: T = done.value
        return given
    asked.close()
    raise TypeError("a function of yours waits, and WSGI has no event loop to wait on; give plain functions")

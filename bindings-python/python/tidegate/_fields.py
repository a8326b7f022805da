"""The fields of several limits in one answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from .headers import HeaderList

# Where routes leave the fields of their limits, for who stands outside of them and writes the answer's head.
FIELDS = "tidegate.fields"
_LEGACY = b"x-ratelimit-"
_Message = MutableMapping[str, Any]


def telling(send: Callable[[_Message], Awaitable[None]], fields: HeaderList) -> Callable[[_Message], Awaitable[None]]:
    """``send`` with the fields in the head of an answer: those that are there by then."""

    # A plain function that hands on what send gives to await: a coroutine of its own would cost more than its work.
    def send_with_fields(message: _Message) -> Awaitable[None]:
        if message["type"] == "http.response.start" and fields:
            # A new message: the application may keep and reuse its own.
            headers = [*message.get("headers", ()), *fields]
            # More than the two of one limit: several limits, or X-RateLimit-* as well.
            if len(fields) > 2:
                headers = one_told(headers, message["status"] == 429)
            message = {**message, "headers": headers}
        return send(message)

    return send_with_fields


def joined(fields: Sequence[HeaderList], refuser: HeaderList | None = None) -> HeaderList:
    """Several limits' fields as one, each name once; of X-RateLimit-* those of the one that refused, else of the one
    with the least left.
    """
    lines: dict[bytes, bytes] = {}
    legacy: HeaderList = [
        line for own in ([refuser] if refuser else fields) for line in own if line[0].startswith(_LEGACY)
    ]
    for name, value in [line for own in fields for line in own if not line[0].startswith(_LEGACY)]:
        lines[name] = lines[name] + b", " + value if name in lines else value
    return [*lines.items(), *one_told(legacy)]


def one_told(lines: HeaderList, first: bool = False) -> HeaderList:
    """The lines of an answer, but of X-RateLimit-*, which can tell of one limit only, those of the limit with the least
    left; or of the ``first``, which in a refusal is the one that refused.
    """
    limits: list[list[int]] = []
    for at, (name, _) in enumerate(lines):
        name = bytes(name).lower()
        if name.startswith(_LEGACY):
            if name == b"x-ratelimit-limit" or not limits:
                limits.append([])
            limits[-1].append(at)
    if len(limits) < 2:
        return lines
    kept = limits[0] if first else min(limits, key=lambda limit: _remaining([lines[at] for at in limit]))
    dropped = {at for limit in limits if limit is not kept for at in limit}
    return [line for at, line in enumerate(lines) if at not in dropped]


def _remaining(limit: HeaderList) -> int:
    for name, value in limit:
        # An application may tell of limits of its own, in whatever words.
        if bytes(name).lower() == b"x-ratelimit-remaining" and value.isdigit():
            return int(value)
    return 2**64

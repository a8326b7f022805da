"""The fields of several limits in one answer."""

from __future__ import annotations

from collections.abc import Sequence

from .headers import HeaderList

_LEGACY = b"x-ratelimit-"


def joined(fields: Sequence[HeaderList], refuser: HeaderList | None = None) -> HeaderList:
    """Several limits' fields as one, each name once; of X-RateLimit-* those of the one that refused, else of the one with the least left."""
    lines: dict[bytes, bytes] = {}
    legacy: HeaderList = [line for own in ([refuser] if refuser else fields) for line in own if line[0].startswith(_LEGACY)]
    for name, value in [line for own in fields for line in own if not line[0].startswith(_LEGACY)]:
        lines[name] = lines[name] + b", " + value if name in lines else value
    return [*lines.items(), *one_told(legacy)]


def one_told(lines: HeaderList, first: bool = False) -> HeaderList:
    """The lines of an answer, but of X-RateLimit-*, which can tell of one limit only, those of the limit with the least left; or of the
    ``first``, which in a refusal is the one that refused.
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

"""The words of a refusal: Retry-After, RateLimit fields and problem bodies, framework-free.

RateLimit and RateLimit-Policy follow draft-ietf-httpapi-ratelimit-headers-10, bodies RFC 9457 with that draft's problem
types, Retry-After RFC 9110 section 10.2.3 in seconds.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from ._tidegate import Decision
from .errors import ConfigError

__all__ = ["Policy", "Problem", "retry_after_seconds"]

HeaderList = list[tuple[bytes, bytes]]

_TYPES = "https://iana.org/assignments/http-problem-types#"
# What a client is told where the answer is "never" or "when somebody resets it".
LONGEST_RETRY_AFTER = 3600


def retry_after_seconds(seconds: float) -> int:
    """A Retry-After value: whole seconds, rounded up, at least 1; "never" reads as an hour."""
    if not seconds < LONGEST_RETRY_AFTER:
        return LONGEST_RETRY_AFTER if math.isinf(seconds) or math.isnan(seconds) else math.ceil(seconds)
    return max(1, math.ceil(seconds))


@dataclass(frozen=True, slots=True)
class Policy:
    """How one limit presents itself: ``name`` in the structured fields, ``legacy`` for X-RateLimit-* as well.

    X-RateLimit-Reset counts seconds from now, as Retry-After does.
    """

    name: str = "default"
    legacy: bool = False
    _item: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isascii() and self.name.isprintable() and self.name):
            raise ConfigError(f"name: must be printable ASCII (it stands in a header), got {self.name!r}")
        quoted = self.name.replace("\\", "\\\\").replace('"', '\\"')
        object.__setattr__(self, "_item", f'"{quoted}"'.encode())

    def quota(self, limit: int, window: float) -> bytes:
        """The RateLimit-Policy item: ``limit`` tokens at once, all back within ``window`` seconds."""
        return b"%b;q=%d;w=%d" % (self._item, limit, max(1, math.ceil(window)))

    def headers(self, decision: Decision, quota: bytes | None) -> HeaderList:
        """The fields of one decision; ``quota`` is what ``quota()`` gave."""
        remaining, reset = decision.remaining, math.ceil(decision.reset_after)
        out = [] if quota is None else [(b"ratelimit-policy", quota)]
        out.append((b"ratelimit", b"%b;r=%d;t=%d" % (self._item, remaining, reset)))
        if self.legacy:
            out += [
                (b"x-ratelimit-limit", b"%d" % decision.limit),
                (b"x-ratelimit-remaining", b"%d" % remaining),
                (b"x-ratelimit-reset", b"%d" % reset),
            ]
        return out


class Problem:
    """A problem+json answer, built once: only Retry-After changes from one refusal to the next."""

    __slots__ = ("_fixed", "body", "status")

    def __init__(self, status: int, kind: str, title: str, detail: str, **extra: Any) -> None:
        self.status = status
        document = {"type": _TYPES + kind, "title": title, "status": status, "detail": detail, **extra}
        self.body = json.dumps(document, separators=(",", ":")).encode()
        self._fixed = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(self.body)),
        ]

    @classmethod
    def limited(cls, policy: str) -> Problem:
        """429: a quota is used up."""
        return cls(
            429,
            "quota-exceeded",
            "Request cannot be satisfied as assigned quota has been exceeded",
            "Too many requests; Retry-After tells when to come back.",
            **{"violated-policies": [policy]},
        )

    @classmethod
    def overloaded(cls, status: int = 503) -> Problem:
        """503: a queue is full, a circuit is open, a limit on concurrency is reached."""
        return cls(
            status,
            "temporary-reduced-capacity",
            "Request cannot be satisfied due to temporary server capacity constraints",
            "The service is protecting itself; Retry-After tells when to come back.",
        )

    def headers(self, retry_after: float) -> HeaderList:
        """A new list each time: whoever stands outside may append to it."""
        return [*self._fixed, (b"retry-after", b"%d" % retry_after_seconds(retry_after))]

"""The words of a refusal: Retry-After, RateLimit fields and problem bodies, framework-free.

RateLimit and RateLimit-Policy follow draft-ietf-httpapi-ratelimit-headers-10, bodies RFC 9457 with that draft's problem
types, Retry-After RFC 9110 section 10.2.3 in seconds.
"""

from __future__ import annotations

import json
import math
from typing import Any

from ._tidegate import Policy

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

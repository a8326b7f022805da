"""The words of a refusal: Retry-After, RateLimit fields and problem bodies, framework-free.

RateLimit and RateLimit-Policy follow draft-ietf-httpapi-ratelimit-headers-10, bodies RFC 9457 with that draft's problem
types, Retry-After RFC 9110 section 10.2.3 in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from ._tidegate import Policies, overload_retry_after, problem_body, problem_of, retry_after_seconds

if TYPE_CHECKING:
    from ._tidegate import _GateKind

__all__ = ["Policies", "Problem", "overload_retry_after", "retry_after_seconds"]

HeaderList = list[tuple[bytes, bytes]]


class Problem:
    """A problem+json answer, built once: only Retry-After changes from one refusal to the next.

    Args:
        kind: why; it gives the body's type and title.
        status, detail: default to the kind's own.
        violated: the names of the policies that refused.
    """

    __slots__ = ("_fixed", "body", "status")

    def __init__(
        self,
        kind: Literal[
            "quota_exceeded", "temporary_reduced_capacity", "abnormal_usage_detected", "forbidden", "timeout"
        ],
        *,
        status: int | None = None,
        detail: str | None = None,
        violated: Iterable[str] = (),
    ) -> None:
        self.status, self.body = problem_body(kind, status, detail, list(violated))
        self._fixed = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(self.body)),
        ]

    @classmethod
    def of(cls, part: _GateKind, *violated: str, status: int | None = None) -> Problem:
        """Of a refusal by such a part of a gate: "access", "deadline", "shedder", "queue", "breaker", "concurrency" or
        "limit".
        """
        return cls(problem_of(part), status=status, violated=violated)

    @classmethod
    def limited(cls, *policies: str) -> Problem:
        """429: quotas are used up."""
        return cls.of("limit", *policies)

    @classmethod
    def overloaded(cls, status: int = 503) -> Problem:
        """503: a queue is full, a circuit is open, a limit on concurrency is reached."""
        return cls.of("queue", status=status)

    @classmethod
    def denied(cls) -> Problem:
        """403: on a deny list."""
        return cls.of("access")

    @classmethod
    def timed_out(cls) -> Problem:
        """504: what the request needs did not answer in time."""
        return cls.of("deadline")

    def headers(self, retry_after: float | None = None) -> HeaderList:
        """A new list each time: whoever stands outside may append to it. ``retry_after`` in seconds; None sends none.
        """
        if retry_after is None:
            return [*self._fixed]
        return [*self._fixed, (b"retry-after", b"%d" % retry_after_seconds(retry_after))]

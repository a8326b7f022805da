"""Django: answers for the refusals that leave a view. Needs Django 4.2 or later.

    MIDDLEWARE = ["tidegate.django.RefusalMiddleware", ...]

``@breaker``, ``@limiter`` of a ConcurrencyLimiter and ``Resilience`` stand over views, sync and async; what they hold
of a view that streams lasts until the server has closed the body. Limits and gates before the whole application are
``tidegate.wsgi`` and ``tidegate.asgi``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

from ._refusals import Answers, answered

__all__ = ["RefusalMiddleware"]


class RefusalMiddleware:
    """Answers tidegate's refusals that leave a view: 429 for limits, 503 (or the setting ``TIDEGATE_OVERLOAD_STATUS``)
    for open circuits, full or closed queues, exhausted concurrency and shedding, 504 for timeouts, 403 for access
    lists; all with a problem body, never a 500, and with Retry-After where the error knows when. An ExceptionGroup of
    these alone is answered as the one of them that lasts longest.

    Other errors, an ArenaError or ConfigError among them, are no refusals: Django logs them and answers 500. Its
    ``process_exception`` is asked after those of the middlewares that stand below it in ``MIDDLEWARE``; what a
    middleware itself raises reaches none.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        # Not by the module: whoever lists what is in it would ask for settings that nobody has made.
        from django.conf import settings

        self._get_response = get_response
        self._answers = Answers(getattr(settings, "TIDEGATE_OVERLOAD_STATUS", 503))
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """The answer, or under ASGI what gives it: what is here waits for nothing."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The answer to a refusal; None for any other error, which is for whoever stands further out."""
        answer = answered(self._answers, exception)
        if answer is None:
            return None
        status, fields, body = answer
        return HttpResponse(body, status=status, headers=dict(fields))

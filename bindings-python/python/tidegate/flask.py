"""Flask: answers for the refusals that leave a view. Needs Flask.

``@breaker`` and ``@limiter`` of a ConcurrencyLimiter stand below ``@app.get``; what they hold of a view that streams
lasts until the server has closed the body. A gate before the whole application is ``tidegate.wsgi``; limits per
route are flask-limiter's, on ``tidegate://`` (see ``tidegate.limits``).
"""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from ._answer import encoded, texts
from ._refusals import REFUSALS, Answers, handles, longest
from ._retryable import EXCEPTION_GROUP, members

__all__ = ["install_error_handlers"]


def install_error_handlers(app: Flask, *, overload_status: int = 503) -> None:
    """Answers tidegate's refusals that leave a view: 429 for limits, ``overload_status`` for open circuits, full or
    closed queues, exhausted concurrency and shedding, 504 for timeouts, 403 for access lists; all with a problem body,
    never a 500, and with Retry-After where the error knows when. An ExceptionGroup of these alone is answered as the
    one of them that lasts longest.

    Handlers that the application has registered before for one of these stay, and one for TimeoutError; a blueprint's
    go before. Other errors, an ArenaError or ConfigError among them, are no refusals: Flask logs them and answers 500.
    Before the first request, as Flask asks of all handlers.
    """
    if not isinstance(app, Flask):
        raise TypeError(f"app: expected a Flask application, got {type(app).__name__}")
    answers = Answers(overload_status)

    def on_refusal(error: Exception) -> Any:
        problem, retry_after = answers.of(error)
        # What a gate told, and what its on_refused gave.
        said, headers = getattr(error, "answer", None), [*problem.headers(retry_after), *getattr(error, "extra", [])]
        if callable(said):
            answer = app.response_class.force_type(said, request.environ)
            for name, value in texts(headers[2:]):
                answer.headers.setdefault(name, value)
            return answer
        body = problem.body
        if said is not None:
            content, body = encoded(said, kind="a WSGI application")
            headers[0] = (b"content-type", content)
        # The length is Flask's to say.
        return app.response_class(body, problem.status, texts([headers[0], *headers[2:]]))

    def on_group(group: Exception) -> Any:
        refusal = longest(members(group))
        if refusal is None:
            raise group
        return app.handle_user_exception(refusal)  # type: ignore[arg-type]

    known = app.error_handler_spec[None][None]
    for refusal in REFUSALS:
        if not handles(known, refusal):
            app.register_error_handler(refusal, on_refusal)
    if EXCEPTION_GROUP is not None and EXCEPTION_GROUP not in known:
        app.register_error_handler(EXCEPTION_GROUP, on_group)

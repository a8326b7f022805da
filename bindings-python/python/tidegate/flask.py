"""Flask: a limit as a decorator, and answers for the refusals that leave a view. Needs Flask.

``@breaker`` and ``@limiter`` of a ConcurrencyLimiter stand below ``@app.get`` too; what they hold of a view that
streams lasts until the server has closed the body. A gate before the whole application is ``tidegate.wsgi``;
flask-limiter's decorators work on ``tidegate://`` (see ``tidegate.limits``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, after_this_request, has_request_context, request
from werkzeug.exceptions import TooManyRequests
from werkzeug.wrappers import Response

from ._answer import encoded, texts
from ._environ import at_once, scope_of
from ._fields import FIELDS, one_told
from ._flask_order import decorated
from ._functions import is_async, known_options
from ._guard import FAILED, Charge, Guard, LimitOptions, Refusal
from ._refusals import REFUSALS, Answers, came_before, handles, longest
from ._retryable import EXCEPTION_GROUP, members
from ._stack import Charges, Stack, stacked
from ._tidegate import try_again
from .errors import RateLimitedError
from .headers import HeaderList, Problem

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Refusal", "RouteLimitedError", "install_error_handlers", "limit"]

F = TypeVar("F", bound=Callable[..., Any])
_Scope = MutableMapping[str, Any]

# Where a request's environ has it as the limits of its view see it.
_SCOPE = "tidegate.scope"


class RouteLimitedError(RateLimitedError, TooManyRequests):  # type: ignore[misc]  # retry_after is a float here.
    """A view's limit refused. Also werkzeug's TooManyRequests: it is a 429 without error handlers, and for one of 429.

    ``policy`` is the limit that refused, ``answer`` what ``on_refused`` gave. ``refusal`` says which limit refused
    what.
    """

    def __init__(
        self,
        retry_after: float,
        policy: str = "default",
        denied_by: str | None = None,
        answer: Any = None,
        refusal: str | None = None,
    ) -> None:
        RateLimitedError.__init__(self, retry_after=retry_after, denied_by=denied_by)
        self.args = (retry_after, policy, denied_by, answer, refusal)
        self.response = None
        self.policy = policy
        self.problem = Problem.limited(policy)
        self.answer = answer
        self.refusal = f'limit "{policy}" refused the request' if refusal is None else refusal
        self.description = str(self)
        if answer is not None and not callable(answer):
            # What cannot be sent is this call's error, not the handler's.
            encoded(answer, kind="a WSGI application")

    def __str__(self) -> str:
        return f"{self.refusal}: {try_again(self.retry_after)}"

    def get_response(self, environ: Any = None, scope: Any = None) -> Any:
        """The answer, where no handler gives one."""
        return _response(Response, environ or {}, self, self.problem, self.retry_after)

    def get_headers(self, environ: Any = None, scope: Any = None) -> list[tuple[str, str]]:
        """The fields of the answer, for a handler that makes a body of its own."""
        fields = self.get_response(environ, scope).headers
        return [(name, value) for name, value in fields if name != "Content-Length"]

    def get_body(self, environ: Any = None, scope: Any = None) -> str:
        """The body of the answer."""
        body: str = self.get_response(environ, scope).get_data(as_text=True)
        return body


def limit(limit: Any, **options: Unpack[LimitOptions]) -> Callable[[F], F]:
    """``@limit("5/minute", key=client_ip)`` below ``@app.get(…)``, or on a method of a class of views; sync or async.

    Args:
        limit: a rate (with ``key`` one for each key, without it one for everybody; several joined by ``;`` hold
            together), a TokenBucket, RateLimiter, Tier or LimitSet, or a function of the scope that gives one.
        options: ``burst``, ``fastest``, ``key``, ``cost``, ``skip``, ``name``, ``scope``, ``on_conflict``,
            ``on_refused``, ``headers``, ``legacy_headers``, ``jitter``, ``dry_run`` as
            ``tidegate.asgi.TidegateMiddleware`` has them.

    Functions take a scope as ASGI has it, so that those of ``tidegate.keys`` serve here too; its ``"environ"`` is the
    request's. For a plain view they are plain ones, for an ``async def`` they may be async. ``on_refused`` may give a
    WSGI application, such as a Response.

    Several decorators in a row hold together, all or nothing; what a breaker, a concurrency limit or another limit of
    the view refuses before it has run takes nothing. A leaky bucket's delay is waited for in the view's thread. OPTIONS
    is not counted. Raises RouteLimitedError (429) when refused.
    """
    known_options("limit", options, LimitOptions.__annotations__)
    guard = Guard(limit, **options)

    def decorate(view: F) -> F:
        inner, guards = stacked(view, guard)
        charges = guards[0] if len(guards) == 1 else Stack(guards)
        if is_async(inner):

            @functools.wraps(inner)
            async def limited(*args: Any, **kwargs: Any) -> Any:
                scope = _scope_for(inner)
                charge = await _charged(charges, scope)
                try:
                    return await inner(*args, **kwargs)
                except BaseException as error:
                    _give_back(charge, scope, error)
                    raise

        else:

            @functools.wraps(inner)
            def limited(*args: Any, **kwargs: Any) -> Any:
                scope = _scope_for(inner)
                charge = _charged_at_once(charges, scope)
                try:
                    return inner(*args, **kwargs)
                except BaseException as error:
                    _give_back(charge, scope, error)
                    raise

        limited.__tidegate_limits__ = (limited, guards)  # type: ignore[attr-defined]
        decorated(view, limited)
        return limited  # type: ignore[return-value]

    return decorate


def _scope_for(view: Callable[..., Any]) -> _Scope:
    """The scope of the request that is under way, one for all limits of it."""
    if not has_request_context():
        name = getattr(view, "__qualname__", repr(view))
        raise RuntimeError(
            f"{name}: called without a request, so there is nothing to limit; outside of a view call {name}.__wrapped__"
        )
    environ = request.environ
    known: _Scope | None = environ.get(_SCOPE)
    if known is None:
        fields: HeaderList = []
        known = environ[_SCOPE] = {**scope_of(environ), FIELDS: fields}

        @after_this_request
        def told(response: Any) -> Any:
            for name, value in texts(one_told(fields, response.status_code == 429)):
                response.headers.add(name, value)
            return response

    return known


async def _charged(charges: Charges, scope: _Scope) -> Charge:
    """Charges a view's limits, or raises RouteLimitedError."""
    if scope["method"] == "OPTIONS":
        return Charge([], [], False)
    try:
        charge = await charges.charge(scope)
        fields, refused = scope[FIELDS], charge.refused
        if refused is None:
            if not charge.told:
                fields[:] = one_told([*fields, *charge.fields])
            return charge
        guard, taken = refused
        guard.check_possible(taken)
        # In front: of X-RateLimit-* those of the one that refused are told.
        fields[:0] = charge.fields
        answer = None if guard.on_refused is None else await guard.answer(scope, taken)
        raise RouteLimitedError(
            guard.retry_after(taken), guard.violated(taken), taken.decision.denied_by, answer, guard.refusal(taken)
        )
    except RouteLimitedError:
        raise
    except BaseException as error:
        scope[FAILED] = error
        raise


def _charged_at_once(charges: Charges, scope: _Scope) -> Charge:
    try:
        return at_once(_charged(charges, scope))
    except RouteLimitedError:
        raise
    except BaseException as error:
        # Also where a function of the user's waits.
        scope[FAILED] = error
        raise


def _give_back(charge: Charge, scope: _Scope, error: BaseException) -> None:
    """What a limit took, where another guard of the view has ended the request, and not the view."""
    if isinstance(error, RouteLimitedError) or error is scope.get(FAILED) or came_before(error):
        charge.undo(scope)


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
        return _response(app.response_class, request.environ, error, *answers.of(error))

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


def _response(kind: Any, environ: Any, error: Exception, problem: Problem, retry_after: float | None) -> Any:
    # What a gate told, and what its on_refused gave.
    said, headers = getattr(error, "answer", None), [*problem.headers(retry_after), *getattr(error, "extra", [])]
    if callable(said):
        answer = kind.force_type(said, environ)
        for name, value in texts(headers[2:]):
            answer.headers.setdefault(name, value)
        return answer
    body = problem.body
    if said is not None:
        content, body = encoded(said, kind="a WSGI application")
        headers[0] = (b"content-type", content)
    # The length is Flask's to say.
    return kind(body, problem.status, texts([headers[0], *headers[2:]]))

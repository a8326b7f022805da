"""WSGI middleware, for Flask, Django and all that gunicorn, uWSGI or waitress serve: a gate before an application.
Needs no framework.

    app.wsgi_app = TidegateMiddleware(app.wsgi_app, gate=gate)                   # Flask
    application = TidegateMiddleware(get_wsgi_application(), gate=gate)          # Django's wsgi.py

Outside of it there is nothing that a refused request costs; to limit by user, it stands inside authentication, or reads
what that reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ._answer import encoded, texts
from ._degrade import OVERLOADS, Degrade, degrade_option, page_of
from ._environ import at_once, scope_of
from ._functions import called, known_options, optional
from ._gate import outcome_of
from ._gated import GateOptions, Gated, Refused, admitted_by, not_asked, outcome_at_option
from ._guard import Condition, holds
from ._routes import Paths, is_disguised
from ._tidegate import Admission, Gate, outcome_of_status
from ._time import sleep
from .headers import HeaderList

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["TidegateMiddleware", "admission"]

Environ: TypeAlias = MutableMapping[str, Any]
Headers: TypeAlias = list[tuple[str, str]]
Start: TypeAlias = Callable[..., Callable[[bytes], object]]
App: TypeAlias = Callable[[Any, Any], Iterable[bytes]]

_USUAL = ("/healthz", "/livez", "/readyz")


class TidegateMiddleware:
    """Refuses what a gate refuses, and holds its permit until the server has closed the answer's body.

    Args:
        app: the WSGI application behind it.
        gate: a Gate.
        exempt: paths that are never refused, written as a Rule's, without the prefix of a mount (SCRIPT_NAME). OPTIONS
            is exempt too.
        skip: a function that gives a bool: what is True passes uncounted.
        outcome_at: when the permit comes back, by the status of the answer: at the end of its "body", which is the
            server's ``close()``, or at its "headers", as soon as the application has returned.
        degrade: answers a request that the gate's shedder, queue or concurrency limit refuses, in place of the refusal:
            a function of the scope that gives a page it has (a text, bytes, what JSON can say: a 200), a WSGI
            application, or None for the refusal. If it raises, that is logged and the client gets the refusal.
        options: ``key``, ``cost``, ``priority``, ``user``, ``dependencies``, ``partition``, ``deadline``, ``client``,
            ``headers``, ``legacy_headers``, ``jitter`` and ``on_refused`` as ``tidegate.asgi.TidegateMiddleware`` has
            them.

    Functions take a scope as ASGI has it, so that those of ``tidegate.keys`` serve here too; its ``"environ"`` is the
    request's. They are plain ones: there is no event loop to wait on. ``on_refused`` may give a WSGI
    application as well. One that raises, or gives what it should not, is the request's error, and leaves nothing
    behind. ``admission(environ)`` gives the application what it got.

    May be called on any thread.
    """

    __slots__ = ("_at_body", "_degrade", "_exempt", "_gated", "_skip", "app")

    def __init__(
        self,
        app: App,
        *,
        gate: Gate,
        exempt: Iterable[str] = _USUAL,
        skip: Condition | None = None,
        outcome_at: Literal["body", "headers"] = "body",
        degrade: Degrade | None = None,
        **options: Unpack[GateOptions],
    ) -> None:
        if not callable(app):
            raise TypeError(f"app: expected a WSGI application, got {type(app).__name__}")
        known_options("TidegateMiddleware", options, GateOptions.__annotations__)
        if isinstance(exempt, str):
            raise TypeError(f"exempt: expected several texts, such as ({exempt!r},), got one str")
        self.app = app
        self._gated = Gated(gate, **options)
        self._exempt = Paths("exempt", exempt)
        self._skip = optional("skip", skip)
        self._at_body = outcome_at_option(outcome_at)
        self._degrade = degrade_option(degrade, gate)

    def __call__(self, environ: Environ, start_response: Start) -> Iterable[bytes]:
        """Serves one request."""
        scope = scope_of(environ)
        gated = self._gated
        if (
            scope["method"] == "OPTIONS"
            or (self._exempt.match(scope) and not is_disguised(scope))
            or admitted_by(scope, gated.gate) is not None
            or (self._skip is not None and at_once(holds("skip", self._skip, scope)))
        ):
            return self.app(environ, start_response)
        admission, told = at_once(gated.admit(scope))
        if isinstance(told, Refused):
            if admission.kind in OVERLOADS:
                page = at_once(page_of(self._degrade, scope, "a WSGI application"))
                if page is not None:
                    return _serve(environ, start_response, told, page)
            said = at_once(gated.said(scope, admission, told))
            return _refuse(environ, start_response, told, said)
        answer = _Answer(admission, start_response, told)
        try:
            if admission.delay:
                sleep(admission.delay, gated.clock)
            body = self.app(environ, answer.start)
        except BaseException as error:
            admission.finish(outcome_of(error))
            raise
        if not self._at_body and answer.status:
            admission.finish(outcome_of_status(answer.status))
            return body
        # Some servers ask a list for its length, to say it.
        return (_Sized if hasattr(body, "__len__") else _Body)(body, answer, scope["method"] == "HEAD", self._at_body)

    def __repr__(self) -> str:
        return f"TidegateMiddleware(<{called(self.app)}>, gate={self._gated.gate!r})"


def admission(environ: Environ, gate: Gate | str | None = None) -> Admission:
    """What a gate's middleware gave a request: ``admission(request.environ).breaker("payment")``.

    Args:
        environ: the request's, as Flask's and Django's requests have it (``request.environ``, ``request.META``).
        gate: where several stand in its way, which: a Gate or its name; None: the innermost.

    Raises LookupError where none of them was asked for this request.
    """
    found = admitted_by(environ, gate)
    if found is None:
        raise LookupError(not_asked(gate))
    return found


class _Answer:
    """What the application says of its answer."""

    __slots__ = ("_fields", "_start", "admission", "status")

    def __init__(self, admission: Admission, start: Start, fields: HeaderList) -> None:
        self.admission, self._start, self._fields = admission, start, fields
        self.status = 0

    def start(self, status: str, headers: Headers, *error: Any) -> Any:
        """The application's ``start_response``."""
        number = status[:3]
        # What is no status is the server's to refuse.
        self.status = int(number) if number.isdecimal() else 0
        return self._start(status, [*headers, *texts(self._fields)], *error)


class _Body:
    """An answer's body, with whose end the admission ends: at the server's ``close()``."""

    __slots__ = ("_answer", "_at_body", "_body", "_is_out", "_pieces")

    def __init__(self, body: Iterable[bytes], answer: _Answer, is_out: bool, at_body: bool) -> None:
        # Of an answer to HEAD nobody asks for more.
        self._body, self._answer, self._is_out, self._at_body = body, answer, is_out, at_body
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        answer = self._answer
        try:
            if self._pieces is None:
                self._pieces = iter(self._body)
            piece = next(self._pieces)
        except StopIteration:
            self._is_out = True
            raise
        except BaseException as error:
            answer.admission.finish(outcome_of(error))
            raise
        if not self._at_body and answer.status:
            answer.admission.finish(outcome_of_status(answer.status))
        return piece

    def close(self) -> None:
        """The server needs no more of it: all is sent, or nobody is there to send it to."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            answer = self._answer
            is_done = self._is_out and answer.status
            answer.admission.finish(outcome_of_status(answer.status) if is_done else "cancelled")


class _Sized(_Body):
    """One whose length is known."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


def _refuse(environ: Environ, start_response: Start, refused: Refused, said: Any) -> Iterable[bytes]:
    """Answers a refused request; ``said`` is what ``on_refused`` gave, None for the problem body."""
    problem, body = refused.problem, refused.problem.body
    headers = [*problem.headers(refused.retry_after), *refused.fields]
    if callable(said):
        return _with(said, texts(headers[2:]), environ, start_response)
    if said is not None:
        content, body = encoded(said, kind="a WSGI application")
        headers = [(b"content-type", content), (b"content-length", b"%d" % len(body)), *headers[2:]]
    start_response(f"{problem.status} {HTTPStatus(problem.status).phrase}", texts(headers))
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def _serve(environ: Environ, start_response: Start, refused: Refused, page: Any) -> Iterable[bytes]:
    """Answers a refused request with what ``degrade`` gave."""
    fields = texts(refused.fields)
    if callable(page):
        return _with(page, fields, environ, start_response)
    content, body = page
    start_response("200 OK", [*texts([(b"content-type", content), (b"content-length", b"%d" % len(body))]), *fields])
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def _with(application: Any, told: Headers, environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Somebody's own answer, with what the client is told beside it unless it says so itself."""

    def start_told(status: str, headers: Headers, *error: Any) -> Any:
        names = {name.lower() for name, _ in headers}
        return start_response(status, [*headers, *(field for field in told if field[0].lower() not in names)], *error)

    answer: Iterable[bytes] = application(environ, start_told)
    return answer

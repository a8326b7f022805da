"""How HTTP calls end, for the responses and exceptions of httpx, requests, aiohttp, urllib3 and urllib."""

from __future__ import annotations

import errno
import socket
import ssl
import time

# Loaded with the package, as the classifier asks for it: a fork in the middle of an import would leave the child
# without.
from concurrent.futures import CancelledError as CancelledError
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from ._functions import makes
from ._own_client import is_of_own_client
from ._tidegate import Classifier, http_answer, max_retry_after_seconds

__all__ = ["http"]

# No socket or port of this machine was free: the call never left it.
_NO_SOCKET = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL})
_NETWORK = frozenset(
    getattr(errno, name)
    for name in ("ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ETIMEDOUT", "ENOTCONN")
    if hasattr(errno, name)
)
# By the top of their module and their name, so that nothing is imported that the application does not use.
_UNREACHED = frozenset({("httpx", "PoolTimeout"), ("httpcore", "PoolTimeout"), ("urllib3", "EmptyPoolError")})
_CONNECT_TIMEOUT = frozenset({("aiohttp", "ConnectionTimeoutError")})
# What came is no HTTP. aiohttp raises that, and from it an error of an answer with a status, which no server gave.
_GARBLED = frozenset({("aiohttp", "HttpProcessingError")})
# What servers' frameworks take for an answer, which has its status in ``code`` where the framework is werkzeug.
_ANSWERS = frozenset((module, "HTTPException") for module in ("starlette", "werkzeug", "aiohttp"))
_CLOSES = frozenset({("starlette", "WebSocketException")})
# Close codes of a WebSocket whose server has failed or has no room.
_CLOSED_BY_SERVER = range(1011, 1015)
# The client has gone, sent what does not fit, or asked for what there is not or it may not have.
_CLIENTS = frozenset(
    {
        ("starlette", "ClientDisconnect"),
        ("starlette", "WebSocketDisconnect"),
        ("fastapi", "ValidationException"),
        ("django", "UnreadablePostError"),
    }
)
# What Django answers, with a status of which these say nothing.
_DJANGOS = {
    ("django", "BadRequest"): 400,
    ("django", "Http404"): 404,
    ("django", "MultiPartParserError"): 400,
    ("django", "PermissionDenied"): 403,
    ("django", "SuspiciousOperation"): 400,
}
# The request broke the protocol before it was sent, by a header for instance: whoever can write one shall open nothing.
_CALLERS_MISTAKE = frozenset(
    (module, name) for module in ("httpx", "httpcore") for name in ("LocalProtocolError", "UnsupportedProtocol")
)
# A proxy that refuses the tunnel, with a status of its own: the server was not reached, and gave none.
_PROXY = frozenset({("aiohttp", "ClientHttpProxyError")})
# As Python's own client says it, in an OSError without a number.
_TUNNEL = "Tunnel connection failed"
_FAILED = frozenset(
    {
        *_PROXY,
        ("httpx", "TransportError"),
        ("httpcore", "NetworkError"),
        ("httpcore", "TimeoutException"),
        ("httpcore", "ProtocolError"),
        ("requests", "ConnectionError"),
        ("requests", "Timeout"),
        ("requests", "ChunkedEncodingError"),
        ("aiohttp", "ClientConnectionError"),
        ("aiohttp", "ClientPayloadError"),
        # A compressed body that is broken.
        ("httpx", "DecodingError"),
        ("requests", "ContentDecodingError"),
        ("urllib3", "DecodeError"),
        ("urllib3", "TimeoutError"),
        ("urllib3", "ProtocolError"),
        ("urllib3", "ProxyError"),
        ("urllib3", "SSLError"),
        ("urllib3", "MaxRetryError"),
        ("http", "HTTPException"),
        # Not yet Python's own before 3.11.
        ("asyncio", "TimeoutError"),
        ("concurrent", "TimeoutError"),
    }
)

_TIMEOUTS = frozenset(
    {
        ("httpx", "TimeoutException"),
        ("httpcore", "TimeoutException"),
        ("requests", "Timeout"),
        ("urllib3", "TimeoutError"),
        # Not yet Python's own before 3.11.
        ("asyncio", "TimeoutError"),
        ("concurrent", "TimeoutError"),
    }
)


def answer_of(subject: Any) -> tuple[int, Any] | None:
    """The status that the server gave, of a response or of the exception that stands for one, and the object that has
    it. None where nobody has answered, whatever number an exception has.
    """
    names: tuple[str, ...] = ("status_code", "status")
    if isinstance(subject, BaseException):
        if _is_garbled(subject) or is_one_of(subject, _PROXY):
            return None
        # Databases have a ``code`` too.
        if _has(subject, "response") or _has(subject, "headers") or isinstance(_attribute(subject, "code"), HTTPStatus):
            names = (*names, "code")
    for one in (subject, _attribute(subject, "response")):
        for name in names:
            status = _attribute(one, name)
            if isinstance(status, int) and 100 <= status <= 599:
                return status, one
    return None


def is_answered(error: BaseException) -> bool:
    """Whether what a server's code raised is an answer to its own client, or says that it has gone: an HTTPException
    below 500 (of Starlette, werkzeug or aiohttp's server), what Django answers with a status below 500, a failed
    validation, an error of the client's own connection. It says nothing of what the code depends on.
    """
    status = status_raised(error)
    if status is not None:
        return status < 500
    if is_one_of(error, _CLOSES):
        return _attribute(error, "code") not in _CLOSED_BY_SERVER
    return is_one_of(error, _CLIENTS) or is_of_own_client(error)


def status_raised(error: BaseException) -> int | None:
    """The status with which a server's framework answers what its code raised; None where it is no answer."""
    if is_one_of(error, _ANSWERS):
        answer = answer_of(error)
        return None if answer is None else answer[0]
    names = ((kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__)
    return next((_DJANGOS[name] for name in names if name in _DJANGOS), None)


def _is_garbled(error: BaseException) -> bool:
    """Whether it was raised since what came was no HTTP."""
    cause = error.__cause__
    return is_one_of(error, _GARBLED) or (cause is not None and is_one_of(cause, _GARBLED))


def _attribute(subject: Any, name: str) -> Any:
    """None where there is none, and where asking for it raises: an error is to be judged, not replaced."""
    try:
        return getattr(subject, name, None)
    except Exception:
        return None


def _has(subject: Any, name: str) -> bool:
    try:
        return hasattr(subject, name)
    except Exception:
        return False


def field(headers: Any, name: str) -> str | None:
    """A field of a client's or server's headers, by its name in small letters."""
    get = getattr(headers, "get", None)
    if not callable(get):
        return None
    # Clients' mappings take any case; a plain dict has one of these.
    value = get(name)
    if value is None:
        value = get(name.title())
    if isinstance(value, bytes):
        return value.decode("latin-1")
    # aiohttp has bytes that are no UTF-8 as lone surrogates, which the core does not take: nonsense like other.
    return str(value).encode(errors="replace").decode() if isinstance(value, (str, int, float)) else None


def failed(answer: tuple[int, Any]) -> bool:
    """Whether the server failed, by the core's word on the status: no field has a say, and most answers did not."""
    return http_answer(answer[0], None, None, None, 0.0, 0.0)[0]


def told(answer: tuple[int, Any], most: float, now: float | None = None) -> float | None:
    """The seconds that the answer asks for, by the core's word on its fields."""
    status, owner = answer
    headers = _attribute(owner, "headers")
    if headers is None:
        # Some exceptions repeat the status of their response, and not its headers.
        headers = _attribute(_attribute(owner, "response"), "headers")
    wait, wait_ms, date = (field(headers, name) for name in ("retry-after", "retry-after-ms", "date"))
    return http_answer(status, wait, wait_ms, date, time.time() if now is None else now, most)[1]


def is_one_of(error: BaseException, names: frozenset[tuple[str, str]]) -> bool:
    """Whether its class is one of these, by the top of its module and its name."""
    return any((kind.__module__.partition(".")[0], kind.__name__) in names for kind in type(error).__mro__)


def _causes(error: BaseException) -> list[BaseException]:
    """The exception and what led to it, for clients wrap the connection's own. A chain may be circular."""
    causes: list[BaseException] = []
    last: BaseException | None = error
    while last is not None and len(causes) < 8 and last not in causes:
        causes.append(last)
        args = _attribute(last, "args")
        wrapped = next((arg for arg in args if isinstance(arg, BaseException)), None) if args else None
        # URLError keeps it there.
        reason = _attribute(last, "reason")
        last = last.__cause__ or last.__context__ or wrapped or (reason if isinstance(reason, BaseException) else None)
    return causes


def _unreached(error: BaseException) -> bool:
    if answer_of(error) is not None:
        return False
    causes = _causes(error)
    if is_one_of(error, _CONNECT_TIMEOUT) and any(map(_waited_for_slot, causes)):
        return True
    return any(
        is_one_of(cause, _UNREACHED) or (isinstance(cause, OSError) and cause.errno in _NO_SOCKET)
        for cause in causes
    )


def _waited_for_slot(cause: BaseException) -> bool:
    """Whether aiohttp gave up waiting for a connection of its pool: it raises the same where it gave up connecting."""
    traceback = cause.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == "_wait_for_available_connection":
            return True
        traceback = traceback.tb_next
    return False


def is_mistaken(error: BaseException) -> bool:
    """Whether it is the caller's own mistake, that no server was told of."""
    return is_one_of(error, _CALLERS_MISTAKE)


def _is_neutral(error: BaseException) -> bool:
    return is_mistaken(error) or is_answered(error)


def _is_tunnel(error: OSError) -> bool:
    text = error.args[0] if error.args else None
    return isinstance(text, str) and text.startswith(_TUNNEL)


def _connection_failed(error: BaseException) -> bool:
    if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror, socket.herror, ssl.SSLError)):
        return True
    if _is_garbled(error):
        return True
    if isinstance(error, OSError) and (error.errno in _NETWORK or _is_tunnel(error)):
        return True
    reason = _attribute(error, "reason")
    if is_one_of(error, frozenset({("urllib", "URLError")})):
        return not isinstance(reason, BaseException) or _connection_failed(reason)
    return is_one_of(error, _FAILED)


def timed_out(error: BaseException) -> bool:
    """Whether a client gave up waiting."""
    return any(isinstance(cause, TimeoutError) or is_one_of(cause, _TIMEOUTS) for cause in _causes(error))


@makes("a Classifier", "http()")
def http(
    *,
    max_retry_after: float | timedelta = 300.0,
    slow: Any = None,
    slow_call_duration: float | timedelta | None = None,
) -> Classifier:
    """A classifier of HTTP calls: 5xx, 429, timeouts and connection errors fail, other answers are successes.

    A call for which no connection of the pool, or no socket of this machine, was free is unreached. ``Retry-After``
    (seconds or a date) and ``Retry-After-Ms`` of 429 and 503 set the cooldown, up to ``max_retry_after`` seconds.
    Another answer that took ``slow_call_duration`` seconds is slow, and so is one that ``slow``, a function of the
    answer or several, says so of.
    """
    most = max_retry_after_seconds(max_retry_after)

    def failed_error(error: BaseException) -> bool:
        answer = answer_of(error)
        return _connection_failed(error) if answer is None else failed(answer)

    def failed_result(result: object) -> bool:
        answer = answer_of(result)
        return answer is not None and failed(answer)

    def retry_after(outcome: object) -> float | None:
        answer = answer_of(outcome)
        return None if answer is None else told(answer, most)

    return Classifier(
        failure_on=failed_error,
        failure_result=failed_result,
        ignore=_is_neutral,
        unreached=_unreached,
        retry_after=retry_after,
        slow=slow,
        slow_call_duration=slow_call_duration,
    )

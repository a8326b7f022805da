"""What the clients of HTTP share: the throttle, the breaker and the retries of a request. Nothing here sends."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ._classify import answer_of, http
from ._deadline import Deadline, check_name
from ._functions import function, optional
from ._paid import pay
from ._retry import RetryPolicy, exceeded, note
from ._retryable import Verdict, failed_result, is_retried
from ._tidegate import CircuitBreaker, Classifier, ClientThrottle, ManualClock, Permit, RetryBudget
from .errors import CircuitOpenError, ConfigError, RetryBudgetExceededError, ThrottledError, TimeoutExceededError

# One for all requests, or what gives the one of a key: a function, or an object with ``get`` (a registry, a dict).
Chosen: TypeAlias = Any
T = TypeVar("T")

# RFC 9110, 9.2.2, without TRACE.
_IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT"})
# No body comes, or nobody reads it: who follows a redirect lets it go.
_NO_BODY = frozenset({101, 204, 301, 302, 303, 304, 307, 308})


class Kind(NamedTuple):
    """What differs between clients."""

    # The refusals, each an error of the client as well, with ``attempts``: how many were sent before.
    circuit_open: type[CircuitOpenError]
    throttled: type[ThrottledError]
    exceeded: type[RetryBudgetExceededError]
    timed_out: type[TimeoutExceededError]
    # A response as the client's own error of its status, which ``retry_on`` is asked about.
    status_error: Callable[[Any], Exception]
    # Whether the body of a request could be sent again.
    repeatable: Callable[[Any], bool]
    # The host of a request, with its port where that is not the scheme's own.
    host: Callable[[Any], str | None]


class Calls:
    """The policies of a client."""

    __slots__ = (
        "_breaker", "_budget", "_key", "_throttle", "at_body", "classifier", "deadline_header", "idempotent", "kind",
        "retry",
    )  # fmt: skip

    def __init__(
        self,
        kind: Kind,
        *,
        breaker: Chosen,
        key: Callable[[Any], str | None] | None,
        retry: RetryPolicy | None,
        budget: Chosen,
        throttle: Chosen,
        classifier: Classifier | None,
        idempotent: bool | Callable[[Any], bool],
        outcome_at: str,
        deadline_header: str | None,
    ) -> None:
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry: expected a RetryPolicy, got {type(retry).__name__}")
        if classifier is not None and not isinstance(classifier, Classifier):
            raise TypeError(f"classifier: expected a Classifier, such as http(), got {type(classifier).__name__}")
        if budget is not None:
            if retry is None:
                raise ConfigError("budget: nothing is retried without retry=RetryPolicy(…); give both, or neither")
            if retry.budget is not None:
                raise ConfigError("budget: the RetryPolicy has one already; give one of them")
        if outcome_at not in ("body", "headers"):
            raise ConfigError(f'outcome_at: expected "body" or "headers", got {outcome_at!r}')
        if deadline_header is not None:
            check_name("deadline_header", deadline_header)
        if not isinstance(idempotent, bool):
            function("idempotent", idempotent, "the request")
        self.kind, self.retry, self.idempotent = kind, retry, idempotent
        self.classifier = http() if classifier is None else classifier
        self.at_body, self.deadline_header = outcome_at == "body", deadline_header
        self._key = optional("key", key, "the request") or kind.host
        self._breaker = _chooser("breaker", breaker, CircuitBreaker)
        self._budget = _chooser("budget", budget, RetryBudget)
        self._throttle = _chooser("throttle", throttle, ClientThrottle)

    def sending(self, request: Any, method: str, headers: Mapping[str, Any], *, idempotent: bool = False) -> Sending:
        """One request, about to be sent."""
        key = self._key(request)
        return Sending(self, request, self._is_idempotent(request, method, headers, idempotent), key)

    def _is_idempotent(self, request: Any, method: str, headers: Mapping[str, Any], said: bool) -> bool:
        if self.retry is None:
            return False
        if said or method.upper() in _IDEMPOTENT or _is_key(headers.get("idempotency-key")):
            return True
        return self.idempotent if isinstance(self.idempotent, bool) else bool(self.idempotent(request))

    def breaker(self, key: str | None) -> CircuitBreaker | None:
        """Of a request with this key."""
        return _choice("breaker", self._breaker, key, CircuitBreaker)

    def throttle(self, key: str | None) -> ClientThrottle | None:
        """Of a request with this key."""
        return _choice("throttle", self._throttle, key, ClientThrottle)

    def budget(self, key: str | None) -> RetryBudget | None:
        """Of a request with this key."""
        if self.retry is not None and self.retry.budget is not None:
            return self.retry.budget
        return _choice("budget", self._budget, key, RetryBudget)


def _is_key(value: Any) -> bool:
    """The server tells a repetition by it: a blank one, which says nothing or is not sent at all, is none."""
    return bool(value.strip() if isinstance(value, (str, bytes)) else value)


class Sending:
    """One request with all of its attempts.

    For each: ``begin``, then ``raised`` or ``answered``, which give the seconds before the next attempt, or None where
    there is none and the caller gets what there is.
    """

    __slots__ = ("_attempts", "_breaker", "_budget", "_calls", "_idempotent", "_last", "_previous", "_request",
                 "_start", "_throttle")  # fmt: skip

    def __init__(self, calls: Calls, request: Any, idempotent: bool, key: str | None) -> None:
        self._calls, self._request, self._idempotent = calls, request, idempotent
        self._breaker, self._throttle, self._budget = calls.breaker(key), calls.throttle(key), calls.budget(key)
        self._attempts, self._previous = 0, 0.0
        # By what the last attempt failed, and whether that is an error of the client: until the next one is admitted.
        self._last: tuple[Exception, bool] | None = None
        self._start = 0 if calls.retry is None else calls.retry._now()

    def resumes(self, error: Exception) -> None:
        """It was sent before, by a client that tries again by itself, and failed."""
        self._attempts, self._last = 1, (error, True)

    @property
    def clock(self) -> ManualClock | None:
        """That of the retries."""
        return None if self._calls.retry is None else self._calls.retry._clock

    def begin(self) -> Call:
        """The next attempt; raises the refusal of the breaker or the throttle, and TimeoutExceededError at the end.

        A refusal by itself says that nothing was sent. So where something was, the last error is raised in place of it;
        of a response, which is closed by now, the refusal has ``attempts`` and the client's status error as its cause.
        """
        last, self._last = self._last, None
        try:
            return self._admit()
        except (CircuitOpenError, ThrottledError, TimeoutExceededError) as refusal:
            if last is None:
                raise
            if last[1]:
                note(last[0], self._attempts, None)
                raise last[0]
            refusal.attempts = self._attempts  # type: ignore[union-attr]
            raise refusal from last[0]
        finally:
            # An error's traceback holds this frame.
            del last

    def _admit(self) -> Call:
        deadline = Deadline.current()
        if deadline is not None and deadline.expired:
            raise self._calls.kind.timed_out("call timed out: its deadline had passed before it was sent")
        permit = None
        if self._breaker is not None:
            try:
                timed = self._calls.classifier.slow_call_duration is not None
                permit = self._breaker._acquire_timed() if timed else self._breaker.acquire()
            except CircuitOpenError as refusal:
                raise self._calls.kind.circuit_open(*refusal.args) from None
        throttle = self._throttle
        if throttle is not None and not throttle.try_acquire():
            if permit is not None:
                permit.release()
            name = "" if throttle.name is None else f' "{throttle.name}"'
            raise self._calls.kind.throttled(f"client throttle{name} rejected a call", throttle.retry_after)
        if self._attempts == 0 and self._budget is not None:
            # By calls that are made: what is refused here is no load that retries could be a share of.
            pay(self._budget)
        self._attempts += 1
        if deadline is not None and self._calls.deadline_header is not None:
            # Of each attempt, for less is left of it; and in place of what another hop was told.
            for name, value in deadline.headers(self._calls.deadline_header).items():
                self._request.headers[name] = value
        return Call(self._calls, permit, throttle)

    def raised(
        self, call: Call, error: BaseException, closed: bool = False, *, is_last: bool = False
    ) -> float | None:
        """The attempt ended in an error, which may be because the client was closed on this side.

        ``is_last``: the client has no time for another.

        Raises RetryBudgetExceededError where only the budget is missing.
        """
        verdict = call.failed(error, closed)
        if verdict[0] == "cancelled" or not isinstance(error, Exception):
            return None
        return self._wait(verdict, error, error, is_last)

    def answered(self, call: Call, response: Any, complete: bool = False) -> float | None:
        """There are a response's headers; ``complete``: and no body is to come."""
        return self._wait(call.answered(response, complete), None, response)

    def _wait(
        self, verdict: Verdict, error: Exception | None, subject: Any, is_last: bool = False
    ) -> float | None:
        policy = self._calls.retry
        if policy is None:
            return None
        told = policy._told(subject, verdict)
        wait = None
        if not is_last and self._again(policy, verdict[0], error, subject):
            wait, self._previous = policy._next(self._attempts, self._previous, told, self._start)
        if wait is not None and self._breaker is not None and self._breaker.retry_after > wait:
            # The circuit will still be open: what there is tells more than its refusal would, and costs no budget.
            wait = None
        if wait is not None and self._budget is not None and not self._budget.try_withdraw():
            if error is not None:
                raise self._calls.kind.exceeded(*exceeded(self._budget, self._attempts, told).args) from error
            wait = None
        if wait is not None:
            self._last = (self._calls.kind.status_error(subject), False) if error is None else (error, True)
        elif error is not None:
            note(error, self._attempts, told)
        return wait

    def _again(self, policy: RetryPolicy, judged: str, error: Exception | None, subject: Any) -> bool:
        if not self._idempotent or not self._calls.kind.repeatable(self._request):
            return False
        if policy._retry_on is None:
            return judged in ("failure", "unreached")
        if error is None:
            if policy._readers and failed_result(policy._readers, subject) is not None:
                return True
            # Only of what a status error could be raised of.
            answer = answer_of(subject)
            if answer is None or answer[0] < 400:
                return False
            error = self._calls.kind.status_error(subject)
        return bool(is_retried(policy._retry_on, error))


# The dependency did its work, at once or late.
_FINE = ("success", "slow")


class Call:
    """One attempt, as breaker and throttle see it.

    The throttle is told at the headers. The breaker is told at once where they are a failure, else when the body ends:
    ``ended``, ``lost`` or ``abandoned``, of which the first counts. One that is dropped has given its permit back.
    """

    __slots__ = ("_calls", "_permit", "_said", "_throttle", "pending")

    def __init__(self, calls: Calls, permit: Permit | None, throttle: ClientThrottle | None) -> None:
        self._calls, self._permit, self._throttle = calls, permit, throttle
        # Whether the breaker waits for the body, and what the headers said.
        self.pending = False
        self._said: Verdict = ("success", None)

    def failed(self, error: BaseException, closed: bool = False) -> Verdict:
        """An error came in place of an answer."""
        if closed:
            return self._report(("cancelled", None))
        try:
            verdict = self._judged(error)
        except BaseException:
            # As a breaker has it: a predicate that raises counts as a failure.
            self._report(("failure", None))
            raise
        return self._report(verdict)

    def _judged(self, error: BaseException) -> Verdict:
        verdict = self._calls.classifier.error(error)
        # Elsewhere an error that nobody names is an answer of the dependency's. Here one would have come as a response.
        return ("ignore", None) if verdict[0] == "success" and answer_of(error) is None else verdict

    def answered(self, response: Any, complete: bool) -> Verdict:
        """There are headers."""
        try:
            verdict = self._calls.classifier.result(response)
        except BaseException:
            self._report(("failure", None))
            raise
        is_fine = verdict[0] in _FINE
        self.pending = is_fine and self._calls.at_body and not complete and self._permit is not None
        self._said = verdict
        return self._report(verdict)

    def _report(self, verdict: Verdict) -> Verdict:
        throttle, judged = self._throttle, verdict[0]
        if throttle is not None:
            if judged in _FINE:
                throttle.accepted()
            elif judged in ("failure", "unreached"):
                throttle.refused()
        if self._permit is not None and not self.pending:
            self._tell(verdict)
        return verdict

    def ended(self) -> None:
        """The body is here."""
        if self._permit is not None:
            self._tell(self._said)

    def lost(self, error: BaseException, closed: bool = False) -> None:
        """The body did not come to its end. Nothing is raised but what the classifier raises."""
        if self._permit is None:
            return
        if closed:
            self._permit.release()
            return
        try:
            verdict = self._judged(error)
        except BaseException:
            self._permit.failure()
            raise
        self._tell(verdict)

    def abandoned(self) -> None:
        """Nobody wants the rest of the body, which says nothing of the server."""
        if self._permit is not None:
            self._permit.release()

    def _tell(self, verdict: Verdict) -> None:
        permit, (judged, wait) = self._permit, verdict
        if permit is None:
            return
        if judged == "failure":
            permit.failure(retry_after=wait)
        elif judged == "cancelled":
            permit.release()
        elif judged == "unreached":
            permit.unreached()
        elif judged == "ignore":
            permit.ignore()
        elif judged == "slow" or self._is_slow(permit):
            permit.slow()
        else:
            permit.success()

    def _is_slow(self, permit: Permit) -> bool:
        """Whether it took as long as the classifier calls slow: known only now, when the call is over."""
        limit = self._calls.classifier.slow_call_duration
        took = None if limit is None else permit._took()
        return limit is not None and took is not None and took >= limit


def ends_at_headers(method: str, status: int, headers: Mapping[str, Any]) -> bool:
    """Whether nothing that counts comes behind these headers."""
    return method == "HEAD" or status in _NO_BODY or headers.get("content-length") == "0"


def origin(scheme: str, host: str | None, port: int | None) -> str | None:
    """A host, with its port where that is not the scheme's own: two services of one machine are two dependencies."""
    if not host:
        return None
    host = f"[{host}]" if ":" in host else host.lower()
    return host if port is None or port == {"http": 80, "https": 443}.get(scheme) else f"{host}:{port}"


def _chooser(name: str, given: Any, kind: type) -> Chosen:
    """None, the one for all, or a function of the key."""
    if given is None or isinstance(given, kind):
        return given
    get = getattr(given, "get", None)
    if callable(get):
        return get
    if isinstance(given, type) or not callable(given) or inspect.iscoroutinefunction(given):
        raise TypeError(
            f"{name}: expected a {kind.__name__}, or what gives the one of a key: a function, or an object with "
            f"get(key), such as a dict; got {type(given).__name__}"
        )
    return function(name, given, "the key")


def _choice(name: str, chosen: Chosen, key: str | None, kind: type[T]) -> T | None:
    if isinstance(chosen, kind):
        return chosen
    found = None if chosen is None or key is None else chosen(key)
    if found is None or isinstance(found, kind):
        return found
    raise TypeError(f"{name}: expected a {kind.__name__} or None for {key!r}, got {type(found).__name__}")

"""One attempt of a processor's job, and what follows it: another, the dead letter, or its end."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ._functions import decorates, function, is_async, not_async, refuse_lazy
from ._jobs import DEAD, FAILED, Placed
from ._log import log
from ._paid import Attempt
from ._retry import RetryPolicy
from ._retryable import failed_result
from ._timeout import Timeout


class Work:
    """A processor's functions and policies."""

    def __init__(
        self,
        handler: Callable[[Any], Any],
        retry: RetryPolicy | None,
        dead_letter: Callable[[Any, BaseException, int], object] | None,
        timeout: float | None,
    ) -> None:
        self.is_async = decorates("a processor", "Processor(…)", handler)
        function("handler", handler, "the item")
        if retry is not None and not isinstance(retry, RetryPolicy):
            raise TypeError(f"retry: expected a RetryPolicy, got {type(retry).__name__}")
        if dead_letter is not None:
            function("dead_letter", dead_letter, "the item, its error and the number of attempts", 3)
            if is_async(dead_letter) and not self.is_async:
                raise TypeError("dead_letter: it is async, and the handler is not; its thread has no event loop")
        self.handler, self.retry, self.dead_letter = handler, retry, dead_letter
        self._timeout = None if timeout is None else Timeout(attempt=timeout)
        self.is_timed = timeout is not None

    def attempt(self, job: Placed) -> Any:
        """Calls the handler in this thread."""
        item, paid = self._begin(job)
        # An error's traceback holds this frame, and the job as its future holds the error.
        del job
        with paid:
            if self._timeout is not None:
                return self._timeout.call(self.handler, item)
            result = self.handler(item)
        refuse_lazy(result)
        return result

    async def attempt_async(self, job: Placed) -> Any:
        """Awaits the handler in this task."""
        item, paid = self._begin(job)
        del job
        with paid:
            if self._timeout is not None:
                return await self._timeout.call_async(self.handler, item)
            made = self.handler(item)
            if not inspect.isawaitable(made):
                raise not_async(made, "Processor(handler) with a plain function")
            return await made

    def _begin(self, job: Placed) -> tuple[Any, AbstractContextManager[None]]:
        """The item, and in what its attempt runs: a call pays once, whatever the handler calls."""
        job.attempts += 1
        if self.retry is None:
            return job.item, nullcontext()
        if job.attempts == 1:
            job.start = self.retry._now()
        budget = self.retry.budget
        return job.item, nullcontext() if budget is None else Attempt(budget, job.attempts == 1)

    def after_result(self, job: Placed, result: Any) -> float | None:
        """The wait before another attempt, by a Classifier of the policy; None: the result is the end."""
        retry = self.retry
        if retry is None or not retry._readers:
            return None
        verdict = failed_result(retry._readers, result)
        if verdict is None:
            return None
        wait, job.previous = retry._after_result(result, verdict, job.attempts, job.previous, job.start)
        return wait

    def after(self, job: Placed, error: BaseException) -> tuple[float | None, BaseException]:
        """The wait before another attempt, None for none, and the error that counts."""
        if self.retry is None or job.is_last or not isinstance(error, Exception):
            return None, error
        try:
            wait, job.previous = self.retry._after(error, job.attempts, job.previous, job.start)
        except Exception as thrown:
            # The budget is empty, or `retry_on` itself raised.
            return None, thrown
        return wait, error

    def letter(self, job: Placed, error: BaseException) -> str:
        """Gives the item to the dead letter, in this thread."""
        letter = self.dead_letter
        assert letter is not None
        try:
            if self._timeout is None:
                refuse_lazy(letter(job.item, error, job.attempts))
            else:
                self._timeout.call(letter, job.item, error, job.attempts)
        except BaseException as thrown:
            return _unwritten(thrown)
        return DEAD

    async def letter_async(self, job: Placed, error: BaseException) -> tuple[str, BaseException | None]:
        """Gives the item to the dead letter, async or not, in this task; what it raised."""
        letter = self.dead_letter
        assert letter is not None

        async def write() -> None:
            made = letter(job.item, error, job.attempts)
            if inspect.isawaitable(made):
                await made

        try:
            if self._timeout is None:
                await write()
            else:
                await self._timeout.call_async(write)
        except BaseException as thrown:
            return _unwritten(thrown), thrown
        return DEAD, None


def _unwritten(thrown: BaseException) -> str:
    """The item has failed, and its caller has the handler's error."""
    log.error("dead_letter of a processor raised; its item counts as failed", exc_info=thrown)
    return FAILED


def error_for(error: BaseException) -> BaseException:
    """What a future takes: no StopIteration, which would end whoever awaits it."""
    if not isinstance(error, StopIteration):
        return error
    made = RuntimeError("handler raised StopIteration")
    made.__cause__ = error
    return made

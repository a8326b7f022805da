"""A processor's workers as tasks of one event loop: they come with work and end without it, so none is idle."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import InvalidStateError
from contextvars import Context
from typing import Any

from ._jobs import DONE, FAILED, Job, Jobs, Placed, Turn
from ._log import log
from ._retryable import abandon_async
from ._work import Work, error_for
from .errors import TimeoutExceededError

# What a handler has to end after it was cancelled at its timeout. One that has not is left alone, and replaced.
GRACE = 1.0
# So many items all workers take before others have their turn: a handler that never suspends would keep the loop.
AT_A_TIME = 64
# Seconds before the next item begins after a handler's task was cancelled: by itself, or with all tasks of its loop,
# whose end new ones would only put off.
PAUSE = 0.05


class AsyncJob(asyncio.Future[Any], Placed):
    """A job whose future tasks wait for. Cancelled before it begins it is taken out; later its result is nobody's."""

    def __init__(self, jobs: Jobs, item: Any, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.jobs, self.item = jobs, item

    def cancel(self, msg: Any = None) -> bool:
        self.jobs.withdraw(self)
        return super().cancel(msg)


class Tasks:
    """The tasks of one processor, in the loop that used it first, until that is closed."""

    def __init__(self, jobs: Jobs, work: Work, context: Context) -> None:
        self._jobs, self._work, self._context = jobs, work, context
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def renew(self) -> None:
        """In a child of fork no loop runs."""
        self._loop, self._tasks, self._timer = None, set(), None

    def bind(self) -> bool:
        """Takes the loop that runs here, unless there is one; whether it is the one that runs here."""
        here = asyncio._get_running_loop()
        if here is not None:
            if self._loop is here:
                return True
            if self._loop is None or self._loop.is_closed():
                self.rescue()
                self._loop = here
                # What waited in the loop before.
                self._look()
                return True
        if self._loop is None:
            raise RuntimeError(
                "processor: no event loop runs here and none has used it yet; enter it with `async with`, or submit "
                "in a coroutine"
            )
        if self._loop.is_closed():
            raise RuntimeError("processor: its event loop is closed")
        return False

    def rescue(self) -> None:
        """Ends what was under way in a loop that is closed."""
        if self._loop is not None and self._loop.is_closed():
            self._tasks, self._timer = set(), None
            for job in self._jobs.lost():
                self._set(job, None, RuntimeError("the event loop of its handler was closed"))

    def job(self, item: Any) -> Job | AsyncJob:
        if self.is_here():
            assert self._loop is not None
            return AsyncJob(self._jobs, item, self._loop)
        return Job(self._jobs, item)

    def is_here(self) -> bool:
        """Whether its loop runs in this thread."""
        return self._loop is not None and asyncio._get_running_loop() is self._loop

    def start(self, turn: Turn) -> None:
        """Gives a job to a new task."""
        if self.is_here():
            self._create(turn)
        else:
            self._call(self._create, turn)

    def _call(self, call: Any, *args: Any) -> None:
        """In the loop, from wherever; a closed one is seen to by whoever uses the processor next."""
        if self.is_here():
            call(*args)
        elif self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call, *args)

    def _create(self, turn: Turn) -> None:
        assert self._loop is not None
        task = self._context.copy().run(self._loop.create_task, self._live(turn))
        # A loop keeps its tasks weakly.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._watch()

    def fill(self) -> None:
        """Lets begin what waits and can."""
        for turn in self._jobs.fill():
            self.start(turn)

    def _watch(self) -> None:
        limit = self._jobs.limit
        if limit is not None:
            self._arm(limit)

    def _arm(self, seconds: float) -> None:
        """Has ``_look`` called in so many seconds, if it is not called before."""
        assert self._loop is not None
        timer = self._timer
        if timer is not None:
            if timer.when() <= self._loop.time() + seconds:
                return
            timer.cancel()
        self._timer = self._loop.call_later(seconds, self._look, context=Context())

    def _look(self) -> None:
        """What is due begins, what did not obey its timeout is cut."""
        self._timer = None
        turns, nap = self._jobs.due()
        for job, number, _ in turns:
            text = f"handler did not return within {self._jobs.limit:g} s, and not when it was cancelled"
            self._create(Turn(job, number, TimeoutExceededError(text)))
        self.fill()
        if nap is not None:
            self._arm(max(nap, 0))

    def cut(self) -> None:
        """Cuts all attempts: cancels their tasks, and waits for none."""
        self._call(self._cut)

    def _cut(self) -> None:
        tasks = list(self._tasks)
        for job, number, _ in self._jobs.cut_all():
            text = "processor was closed before its handler returned"
            self._create(Turn(job, number, TimeoutExceededError(text)))
        for task in tasks:
            task.cancel()

    def drop(self, job: Job | AsyncJob) -> None:
        if isinstance(job, Job):
            job.drop()
        else:
            self._call(job.cancel)

    async def _live(self, turn: Turn | None) -> None:
        jobs = self._jobs
        most = max(1, AT_A_TIME // jobs.workers)
        count = 0
        while turn is not None:
            holds = True
            try:
                holds, is_cancelled = await self._do(turn)
                count += 1
                if count % most == 0 and not is_cancelled:
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                is_cancelled = True
            except BaseException:
                self._leave(holds)
                raise
            if is_cancelled:
                return self._leave(holds)
            turn = jobs.next() if holds else jobs.come_back()
            if turn is not None:
                self._watch()

    def _leave(self, holds: bool) -> None:
        """A cancelled task takes no other job; another one does, soon."""
        self._jobs.leave(holds)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_later(PAUSE, self.fill, context=Context())

    async def _do(self, turn: Turn) -> tuple[bool, bool]:
        """Makes an attempt, and what follows from it. Whether it still counted, else another does what follows; and
        whether its task was cancelled.
        """
        jobs, work, job = self._jobs, self._work, turn.job
        error = turn.error
        is_cancelled = False
        try:
            if error is None:
                try:
                    if isinstance(job, Job) and not job.attempts:
                        job.set_running_or_notify_cancel()
                    result = await work.attempt_async(job)
                    wait = work.after_result(job, result)
                except (KeyboardInterrupt, SystemExit) as stop:
                    # They end the loop's run.
                    self._end(turn, FAILED, None, stop)
                    raise
                except BaseException as thrown:
                    error = thrown
                    is_cancelled = isinstance(thrown, asyncio.CancelledError)
                else:
                    put = False if wait is None else jobs.retry(turn, None, wait)
                    if put is False:
                        return self._end(turn, DONE, result, None), False
                    if put and wait is not None:
                        self._arm(wait)
                        await abandon_async(result)
                    return bool(put), False
                if not jobs.fails(turn, work.is_timed and isinstance(error, TimeoutExceededError)):
                    return False, is_cancelled
            if job.is_buried:
                log.error("dead_letter of a processor did not return; its item counts as failed")
                return self._end(turn, FAILED, None, job.error or error), is_cancelled
            wait, error = work.after(job, error)
            put = False if wait is None else jobs.retry(turn, error, wait)
            if put is not False:
                if put and wait is not None:
                    self._arm(wait)
                return bool(put), is_cancelled
            end = FAILED
            if work.dead_letter is not None:
                if not jobs.bury(turn, error):
                    return False, is_cancelled
                self._watch()
                end, unwritten = await work.letter_async(job, error)
                is_cancelled = is_cancelled or isinstance(unwritten, asyncio.CancelledError)
            return self._end(turn, end, None, error), is_cancelled
        finally:
            # Its traceback holds this frame, which else would hold it, also by the future.
            error = unwritten = job = None
            del turn

    def _end(self, turn: Turn, end: str, result: Any, error: BaseException | None) -> bool:
        if not self._jobs.finish(turn, end):
            return False
        self._set(turn.job, result, error)
        turn.job.error = None
        return True

    def _set(self, job: Any, result: Any, error: BaseException | None) -> None:
        if job.done():
            # Its caller has left.
            return
        try:
            if error is None:
                job.set_result(result)
            elif isinstance(error, asyncio.CancelledError) and isinstance(job, AsyncJob):
                asyncio.Future.cancel(job)
            else:
                job.set_exception(error_for(error))
                if self._work.dead_letter is not None and isinstance(job, AsyncJob):
                    # It has come to somebody.
                    job.exception()
        except (InvalidStateError, asyncio.InvalidStateError, RuntimeError):
            # It was set by somebody else, or its loop is closed.
            return

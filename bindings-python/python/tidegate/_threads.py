"""A processor's workers as threads: they come when there is work, and go when there was none for a while."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from concurrent.futures import InvalidStateError
from contextvars import Context
from typing import Any

from ._jobs import DONE, FAILED, Job, Jobs, Turn
from ._log import log
from ._retryable import abandon
from ._work import Work, error_for
from .errors import TimeoutExceededError

# Seconds for which a thread without work stays.
IDLE = 10.0


class _Worker:
    """A thread, and the lock that it waits on for its next job."""

    __slots__ = ("turn", "wake")

    def __init__(self, turn: Turn | None) -> None:
        self.turn = turn
        self.wake = threading.Lock()
        self.wake.acquire()


class Threads:
    """The threads of one processor. They are daemons: a handler that hangs does not keep the interpreter."""

    def __init__(self, jobs: Jobs, work: Work, context: Context) -> None:
        self._jobs, self._work, self._context = jobs, work, context
        self._lock = threading.Lock()
        # The one that rested last works next, so that the others may go.
        self._resting: list[_Worker] = []
        self._keeper = _Keeper(self)

    def renew(self) -> None:
        """In a child of fork no thread is there."""
        self._lock = threading.Lock()
        self._resting = []
        self._keeper = _Keeper(self)

    def job(self, item: Any) -> Job:
        return Job(self._jobs, item)

    def start(self, turn: Turn) -> None:
        """Gives a job to a thread that rests, or to a new one."""
        with self._lock:
            worker = self._resting.pop() if self._resting else None
        if worker is not None:
            worker.turn = turn
            worker.wake.release()
        else:
            worker = _Worker(turn)
            run = self._context.copy().run
            threading.Thread(target=run, args=(self._live, worker), name="tidegate-processor", daemon=True).start()
        self._watch()

    def fill(self) -> None:
        """Lets begin what waits and can."""
        for turn in self._jobs.fill():
            self.start(turn)

    def _watch(self) -> None:
        limit = self._jobs.limit
        if limit is not None:
            self._keeper.arm(time.monotonic() + limit)

    def look(self) -> float | None:
        """The keeper's: what is due begins, what is over its limit is cut."""
        turns, nap = self._jobs.due()
        for job, number, _ in turns:
            self.start(Turn(job, number, TimeoutExceededError(f"handler did not return within {self._jobs.limit:g} s")))
        self.fill()
        return nap

    def cut(self) -> None:
        """Cuts all attempts."""
        for job, number, _ in self._jobs.cut_all():
            self.start(Turn(job, number, TimeoutExceededError("processor was closed before its handler returned")))

    def drop(self, job: Job) -> None:
        job.drop()

    def rescue(self) -> None:
        """Threads end with the process alone."""

    def _live(self, worker: _Worker) -> None:
        while worker.turn is not None:
            turn: Turn | None = worker.turn
            worker.turn = None
            while turn is not None:
                turn = self._jobs.next() if self._do(turn) else self._jobs.come_back()
                if turn is not None:
                    self._watch()
            self._rest(worker)

    def _rest(self, worker: _Worker) -> None:
        """Waits for a job; without one the thread ends."""
        with self._lock:
            self._resting.append(worker)
        if worker.wake.acquire(timeout=IDLE):
            return
        with self._lock:
            if worker in self._resting:
                self._resting.remove(worker)
                return
        # A job came at the last moment.
        worker.wake.acquire()

    def _do(self, turn: Turn) -> bool:
        """Makes an attempt, and what follows from it. False: it was cut meanwhile, and another does what follows."""
        jobs, work, job = self._jobs, self._work, turn.job
        error = turn.error
        try:
            if error is None:
                try:
                    if not job.attempts:
                        job.set_running_or_notify_cancel()
                    result = work.attempt(job)
                    wait = work.after_result(job, result)
                except BaseException as thrown:
                    error = thrown
                else:
                    put = False if wait is None else jobs.retry(turn, None, wait)
                    if put is False:
                        return self._end(turn, DONE, result, None)
                    if put and wait is not None:
                        abandon(result)
                        self._keeper.arm(time.monotonic() + wait)
                    return bool(put)
                if not jobs.fails(turn, work.is_timed and isinstance(error, TimeoutExceededError)):
                    return False
            if job.is_buried:
                log.error("dead_letter of a processor did not return; its item counts as failed")
                return self._end(turn, FAILED, None, job.error or error)
            wait, error = work.after(job, error)
            put = False if wait is None else jobs.retry(turn, error, wait)
            if put is not False:
                if put and wait is not None:
                    self._keeper.arm(time.monotonic() + wait)
                return bool(put)
            end = FAILED
            if work.dead_letter is not None:
                if not jobs.bury(turn, error):
                    return False
                self._watch()
                end = work.letter(job, error)
            return self._end(turn, end, None, error)
        finally:
            # Its traceback holds this frame, which else would hold it, also by the future.
            error = job = None
            del turn

    def _end(self, turn: Turn, end: str, result: Any, error: BaseException | None) -> bool:
        job = turn.job
        if not self._jobs.finish(turn, end):
            return False
        # Somebody else may have set it: it is the caller's as well.
        with contextlib.suppress(InvalidStateError):
            if error is None:
                job.set_result(result)
            else:
                job.set_exception(error_for(error))
        job.error = None
        return True


class _Keeper:
    """A thread that looks when a retry or a limit is due. It is there only while there is something to look for."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._changed = threading.Condition(threading.Lock())
        self._is_there = self._is_called = False
        # Until when it sleeps. While it looks anything may be earlier than what it has seen.
        self._until = math.inf

    def arm(self, due: float) -> None:
        """Has it look at this moment at the latest.

        The invariant: whoever arms has changed the ledger before; who reads the end of an earlier sleep here did so
        before that sleep ended, and so before the next look.
        """
        if due >= self._until:
            return
        with self._changed:
            self._is_called = True
            if not self._is_there:
                self._is_there = True
                threading.Thread(target=self._run, name="tidegate-processor-keeper", daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_called = False
                self._until = math.inf
            nap = self._threads.look()
            with self._changed:
                if self._is_called:
                    continue
                if nap is not None:
                    self._until = time.monotonic() + nap
                    self._changed.wait(max(nap, 0))
                elif not self._changed.wait(IDLE) and not self._is_called:
                    self._is_there = False
                    return

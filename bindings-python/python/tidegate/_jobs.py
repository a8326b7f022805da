"""What a processor has accepted, and where each of it is: one state for each item at any instant, under one lock."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

from ._time import LONGEST_WAIT, POLL, now_ns, span_ns
from ._tidegate import BoundedQueue, ManualClock, Outflow
from .errors import QueueClosedError, QueueEmptyError, QueueFullError

DONE, FAILED, DEAD = "done", "failed", "dead"
CLOSED = "processor is closed"


@dataclass(frozen=True)
class ProcessorStats:
    """Where the items of a processor are: the first six add up to ``accepted``, in every snapshot.

    ``withdrawn`` were accepted and taken back before they began; ``retries`` counts further attempts, ``timed_out``
    attempts that were cut, ``stuck`` those of them that still run, ``rejected`` items that found no room.
    """

    waiting: int
    active: int
    retrying: int
    done: int
    failed: int
    dead: int
    accepted: int
    withdrawn: int
    retries: int
    timed_out: int
    stuck: int
    rejected: int


class Placed:
    """What the ledger knows of a job, which is its caller's future as well."""

    jobs: Jobs
    item: Any
    attempts = 0
    previous = 0.0
    start = 0
    begun = 0.0
    # Whose attempt counts: one that was cut has an earlier one.
    turn = 0
    # By what it is to end, without another attempt.
    error: BaseException | None = None
    is_last = False
    is_buried = False


class Job(Future[Any], Placed):
    """A job whose future threads wait for. Cancelled before it begins it is taken out."""

    def __init__(self, jobs: Jobs, item: Any) -> None:
        super().__init__()
        self.jobs, self.item = jobs, item

    def cancel(self) -> bool:
        return self.drop() if self.jobs.withdraw(self) else self.cancelled()

    def drop(self) -> bool:
        """Cancels the future of a job that is in no place any more."""
        is_cancelled = super().cancel()
        if is_cancelled:
            # Who waits by ``concurrent.futures.wait`` hears of it by this alone.
            self.set_running_or_notify_cancel()
        return is_cancelled


class Turn(NamedTuple):
    """A job in a worker's hands."""

    job: Any
    number: int
    # What its attempt ended with, where another worker made it.
    error: BaseException | None = None


class Jobs:
    """The ledger. The invariant: an item that is accepted is in exactly one of the places, or counted in one end.

    Rooms are places of the capacity: a number, and while somebody waits for one also the items of a BoundedQueue, for
    who waits does so there, in its order, with its timeout, and learns of its close. Whoever finds no room is in the
    line before the next one is given back. An item has a room while it waits and while it waits for another attempt. An
    attempt that fails while there is none owes one: the next room that is given back is not handed on. So there are
    never more than capacity + workers items.
    """

    def __init__(
        self,
        workers: int,
        capacity: int,
        most_stuck: int | None,
        limit: float | None,
        clock: ManualClock | None,
        retry_after: float | None,
    ) -> None:
        self.workers, self.capacity, self._most_stuck = workers, capacity, most_stuck
        # After so many seconds an attempt is cut from outside.
        self.limit, self._clock = limit, clock
        self._told = retry_after
        self._numbers = itertools.count()
        self.renew()

    def renew(self) -> None:
        """Nothing is accepted yet: when it is made, and in a child of fork, for what there was is the parent's."""
        self._lock = threading.Lock()
        self._rooms: BoundedQueue[bool] = BoundedQueue(self.capacity, high_watermark=1.0)
        self._free, self._in_line, self._owed = self.capacity, 0, 0
        self._waiting: OrderedDict[Any, None] = OrderedDict()
        self._active: set[Any] = set()
        # By when they are due.
        self._retrying: list[tuple[float, int, Any]] = []
        self._ends = {DONE: 0, FAILED: 0, DEAD: 0}
        self._accepted = self._withdrawn = self._retries = self._timed_out = self._stuck = self._rejected = 0
        # Workers that have a job, or look for one.
        self._running = 0
        self._outflow = Outflow()
        self.is_closed = self._tries_no_more = False
        self._watchers: list[Callable[[], object]] = []

    # Rooms

    def try_room(self, waits: bool = False) -> bool:
        """Takes a room, if there is one; else ``waits``: stands in the line. QueueClosedError."""
        with self._lock:
            if self.is_closed:
                raise QueueClosedError(CLOSED)
            if self._free:
                self._free -= 1
                return True
            if self._rooms.try_pop() is not None:
                return True
            if waits:
                self._in_line += 1
            else:
                self._rejected += 1
            return False

    def wait_room(self, timeout: Any) -> None:
        """Blocks this thread, which stands in the line, for a room."""
        try:
            self._rooms.pop(timeout)
        except QueueEmptyError:
            raise self._full() from None
        except QueueClosedError:
            raise QueueClosedError(CLOSED) from None
        finally:
            self._leave_line()

    async def wait_room_async(self, timeout: Any) -> None:
        """Suspends this task, which stands in the line, for a room."""
        try:
            await self._rooms.pop_async(timeout)
        except QueueEmptyError:
            raise self._full() from None
        except QueueClosedError:
            raise QueueClosedError(CLOSED) from None
        finally:
            self._leave_line()

    def _leave_line(self) -> None:
        with self._lock:
            self._in_line -= 1

    def _full(self) -> QueueFullError:
        with self._lock:
            self._rejected += 1
        return QueueFullError(f"processor is full ({self.capacity} items wait)", self.retry_after)

    @property
    def retry_after(self) -> float:
        """Seconds: as told, or how long all that is under way takes at the rate at which items end."""
        if self._told is not None:
            return self._told
        with self._lock:
            # What was withdrawn does not count as accepted any more.
            ended = sum(self._ends.values())
            return self._outflow.retry_after(now_ns(self._clock), self._accepted - ended, ended + self._withdrawn)

    def _take_room(self) -> None:
        if self._free:
            self._free -= 1
        elif self.is_closed or self._rooms.try_pop() is None:
            self._owed += 1

    def _give_room(self) -> None:
        if self._owed:
            self._owed -= 1
        elif not self._in_line:
            self._free += 1
        elif not self.is_closed:
            self._rooms.try_push(True)

    # From place to place

    def accept(self, job: Any) -> Turn | None:
        """Puts a job in that has a room; gives it back for a new worker, where there may be one."""
        with self._lock:
            if self.is_closed:
                raise QueueClosedError(CLOSED)
            self._accepted += 1
            if self._running < self._allowed():
                self._running += 1
                return self._begin(job)
            self._waiting[job] = None
            return None

    def fill(self) -> list[Turn]:
        """Jobs that wait and could begin, for new workers."""
        with self._lock:
            turns = []
            while self._waiting and self._running < self._allowed():
                self._running += 1
                turns.append(self._begin(self._waiting.popitem(last=False)[0]))
            return turns

    def next(self) -> Turn | None:
        """A worker's next job; with None it is none any more."""
        with self._lock:
            if self._waiting and self._running <= self._allowed():
                return self._begin(self._waiting.popitem(last=False)[0])
            self._running -= 1
            return None

    def _allowed(self) -> int:
        """How many may work: each attempt that was cut and holds a thread beyond ``most_stuck`` is one less."""
        return self.workers if self._most_stuck is None else self.workers - max(0, self._stuck - self._most_stuck)

    def _begin(self, job: Any) -> Turn:
        self._active.add(job)
        self._give_room()
        if self.limit is not None:
            job.begun = time.monotonic()
        job.turn += 1
        return Turn(job, job.turn, job.error if job.is_last else None)

    def withdraw(self, job: Any) -> bool:
        """Takes out a job that has not begun."""
        with self._lock:
            if job.attempts or job not in self._waiting:
                return False
            del self._waiting[job]
            self._gone(1)
            self._give_room()
            idle = self._idle()
        self._tell(idle)
        return True

    def _gone(self, count: int) -> None:
        self._accepted -= count
        self._withdrawn += count

    def retry(self, turn: Turn, error: BaseException | None, wait: float) -> bool | None:
        """Puts an active job where it waits for its next attempt; None: it was cut, False: there is none any more."""
        job = turn.job
        with self._lock:
            if not self._has(turn):
                return None
            if self._tries_no_more:
                return False
            self._active.remove(job)
            self._take_room()
            self._retries += 1
            job.error = error
            due = now_ns(self._clock) + span_ns(wait)
            heapq.heappush(self._retrying, (due, next(self._numbers), job))
            return True

    def fails(self, turn: Turn, is_timeout: bool) -> bool:
        """An attempt has ended by an error; false: it was cut before."""
        with self._lock:
            if not self._has(turn):
                return False
            self._timed_out += is_timeout
            return True

    def bury(self, turn: Turn, error: BaseException) -> bool:
        """An active job goes to the dead letter, which has a limit of its own; false: it was cut."""
        with self._lock:
            if not self._has(turn):
                return False
            turn.job.is_buried, turn.job.error = True, error
            turn.job.begun = time.monotonic()
            return True

    def finish(self, turn: Turn, end: str) -> bool:
        """An active job has ended; false: it was cut before."""
        with self._lock:
            if not self._has(turn):
                return False
            self._active.remove(turn.job)
            self._ends[end] += 1
            idle = self._idle()
        self._tell(idle)
        return True

    def _has(self, turn: Turn) -> bool:
        return turn.job.turn == turn.number and turn.job in self._active

    def due(self) -> tuple[list[Turn], float | None]:
        """Moves what waits for another attempt and is due to the front of the line, for it was accepted before all
        others, and cuts what is over its limit; those are given for other workers. Seconds until the next look; None:
        nothing to look for.
        """
        naps = []
        with self._lock:
            now = now_ns(self._clock)
            while self._retrying and self._retrying[0][0] <= now:
                self._to_front(heapq.heappop(self._retrying)[2])
            if self._retrying:
                naps.append((self._retrying[0][0] - now) / 1e9 if self._clock is None else POLL)
            turns = []
            if self.limit is not None:
                over = time.monotonic() - self.limit
                turns = [self._cut(job) for job in list(self._active) if job.begun <= over]
                naps += [job.begun - over for job in self._active]
        return turns, min([*naps, LONGEST_WAIT]) if naps else None

    def _to_front(self, job: Any) -> None:
        self._waiting[job] = None
        self._waiting.move_to_end(job, last=False)

    def _cut(self, job: Any) -> Turn:
        self._timed_out += 1
        self._stuck += 1
        job.turn += 1
        if self.limit is not None:
            job.begun = time.monotonic()
        return Turn(job, job.turn)

    def cut_all(self) -> list[Turn]:
        """Cuts all attempts, at the end of the time for a close."""
        with self._lock:
            return [self._cut(job) for job in list(self._active)]

    def lost(self) -> list[Any]:
        """Fails what is active: nobody works on it, for its loop is closed."""
        with self._lock:
            jobs = list(self._active)
            self._active.clear()
            self._ends[FAILED] += len(jobs)
            self._running = 0
            idle = self._idle()
        self._tell(idle)
        return jobs

    def come_back(self) -> Turn | None:
        """The worker of an attempt that was cut is free again: a job for it, if there may be one."""
        with self._lock:
            self._stuck = max(0, self._stuck - 1)
            if self._waiting and self._running < self._allowed():
                self._running += 1
                return self._begin(self._waiting.popitem(last=False)[0])
            return None

    def leave(self, holds: bool) -> None:
        """A worker ends without looking for another job; ``holds``: its last attempt was not cut."""
        with self._lock:
            if holds:
                self._running -= 1
            else:
                self._stuck = max(0, self._stuck - 1)

    # The end

    def close(self) -> None:
        """Accepts no more; who waits for a room learns it."""
        with self._lock:
            self.is_closed = True
            self._free = 0
            rooms = self._rooms
        rooms.drain()

    def take_back(self) -> list[Any]:
        """Takes out all that has not begun. What waits for another attempt gets none, and ends by its last error."""
        with self._lock:
            self._tries_no_more = True
            back = [job for job in self._waiting if not job.attempts]
            for job in back:
                del self._waiting[job]
            self._gone(len(back))
            for _, _, job in self._retrying:
                self._waiting[job] = None
            self._retrying.clear()
            for job in self._waiting:
                job.is_last = True
                # Of a result that was to be tried again there is none.
                job.error = job.error or QueueClosedError("processor was closed before another attempt")
            idle = self._idle()
        self._tell(idle)
        return back

    def watch(self, watcher: Callable[[], object]) -> bool:
        """Calls once when nothing is under way; true: nothing is."""
        with self._lock:
            if self._waiting or self._active or self._retrying:
                self._watchers.append(watcher)
                return False
            return True

    def _idle(self) -> list[Callable[[], object]]:
        """Whom to tell that nothing is under way."""
        if not self._watchers or self._waiting or self._active or self._retrying:
            return []
        watchers, self._watchers = self._watchers, []
        return watchers

    @staticmethod
    def _tell(watchers: list[Callable[[], object]]) -> None:
        for watcher in watchers:
            watcher()

    # How it stands

    @property
    def depth(self) -> int:
        with self._lock:
            return len(self._waiting) + len(self._retrying)

    @property
    def is_accepting(self) -> bool:
        with self._lock:
            return not self.is_closed and (self._free > 0 or self._rooms.depth > 0)

    def stats(self) -> ProcessorStats:
        with self._lock:
            return ProcessorStats(
                waiting=len(self._waiting),
                active=len(self._active),
                retrying=len(self._retrying),
                done=self._ends[DONE],
                failed=self._ends[FAILED],
                dead=self._ends[DEAD],
                accepted=self._accepted,
                withdrawn=self._withdrawn,
                retries=self._retries,
                timed_out=self._timed_out,
                stuck=self._stuck,
                rejected=self._rejected,
            )

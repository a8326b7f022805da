"""A storage for ``limits``, and so for slowapi and flask-limiter: import this module and write ``tidegate://`` as the
URI.

Counters live in this process, in tables of fixed size, ``tidegate://?max_keys=100000``, or are one for all processes of
this machine, ``tidegate://host:orders``; ``async+tidegate://`` is for ``limits.aio``. The three strategies behave as
they do on the library's memory storage, but for two edges that docs/coming-from-limits.md names.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

import limits.aio.storage
import limits.storage
from limits.errors import ConfigurationError
from limits.limits import GRANULARITIES

from ._declared import PREFIX, tables_in
from ._ends import Ends
from ._limit import exact_seconds
from ._tidegate import HostScope, LimitSet, ManualClock, RateLimiter, Tier
from .errors import ArenaError, ConfigError

__all__ = ["AsyncTidegateStorage", "TidegateStorage"]

T = TypeVar("T")

# What a counter of the core holds; a full one reads as "over any limit", so that what it cannot count is refused.
_MOST_HITS = 2**20 - 1
_MOST_COST = 2**32 - 1
_OVER = 2**63 - 1
_MOST_SLIDING = 2**18 - 1
_MOST_LOGGED = 4096
# Where a clock that follows time.time begins to count, the year 1800: dates before 1970 move it too.
_FIRST_NS = -5_364_662_400 * 10**9


def _time_ns() -> int:
    """Nanoseconds from the first to now, as ``time.time`` has it; at an end for what lies before 1800 or after 2384.

    Exact: a product of floats is off by hundreds.
    """
    whole, parts = time.time().as_integer_ratio()
    return min(max(0, whole * 10**9 // parts - _FIRST_NS), 2**64 - 1)


class _Count(int):
    """A count of whole hits, as a strategy compares it with what may be there beside a cost: a cost that is no whole
    number counts as the next one there too, so that ``test`` promises what ``hit`` takes.
    """

    __slots__ = ()

    def __lt__(self, room: float) -> bool:
        return int(self) < math.floor(room)


class _Log(NamedTuple):
    limiter: RateLimiter
    # A set of one: its peek takes a cost, which finds the oldest entry.
    look: LimitSet


class _Tables:
    """A table for each length of window, made when a strategy first asks for it: an application names few."""

    def __init__(
        self, uri: str | None, max_keys: Any, max_entries: Any, clock: ManualClock | str | None, on_conflict: Any
    ) -> None:
        parts = urlsplit(uri or "")
        if parts.path or parts.fragment:
            # A scope behind a third slash would be a path, and the storage a private one.
            raise ConfigurationError(
                'tidegate: the URI is tidegate:// with a scope and options, as in '
                f'"tidegate://host:orders?max_keys=5000", without a path; got {uri!r}'
            )
        self._scope = parts.netloc or None
        self.place = self._scope or os.environ.get("TIDEGATE_SCOPE") or "process"
        _check_scope(self.place)
        query = parse_qs(parts.query, keep_blank_values=True)
        given: dict[str, Any] = {name: values[-1] for name, values in query.items()}
        self._max_keys = _number("max_keys", given.pop("max_keys", max_keys))
        most = given.pop("max_entries", max_entries)
        self._max_entries = _number("max_entries", _entries(self.place) if most is None else most)
        clock = given.pop("clock", clock)
        self._on_conflict = given.pop("on_conflict", on_conflict)
        if given:
            raise ConfigurationError(
                f"tidegate: unknown option {', '.join(given)}; known are max_keys, max_entries, clock and on_conflict"
            )
        if self._on_conflict not in ("error", "keep"):
            raise ConfigurationError(
                'tidegate: on_conflict must be "error" or "keep", for a table keeps the size that it was made with; '
                f"got {self._on_conflict!r}"
            )
        self._follows = isinstance(clock, str)
        if isinstance(clock, str):
            if clock not in ("time", "time.time"):
                raise ConfigurationError(f'tidegate: clock must be "time.time" or a ManualClock, got {clock!r}')
            clock = ManualClock(_time_ns())
        self._clock = clock
        if clock is not None and self.place != "process":
            message = f"clock: the scope {self.place!r} has a clock of its own; leave clock out"
            raise ConfigurationError(f"tidegate: {message}")
        try:
            # What is wrong with the options shows here, not at the first request.
            RateLimiter("1/s", max_keys=self._max_keys, clock=clock, scope="process")
        except ConfigError as error:
            raise ConfigurationError(f"tidegate: {error}") from error
        # For how many keys others have made the tables of a named scope, where that is kept.
        self._kept = self._check_declared()
        self._tables: dict[Any, Any] = {}
        # By how many seconds windows of a length end late at most, as far as it was seen.
        self._late: dict[float, float] = {}
        # On a clock that tests move, windows end in time.
        self.ends = None if clock is None else Ends(clock, self._max_keys)

    def _check_declared(self) -> dict[str, int]:
        """ConfigurationError where the arena has tables of other sizes: it would be one of each first hit otherwise."""
        if self.place == "process":
            return {}
        try:
            tables = tables_in(self.place)
        except (ArenaError, ConfigError) as error:
            raise ConfigurationError(f"tidegate: {error}") from error
        other = {name: table.keys for name, table in tables.items() if table.keys != self._keys(*table[:2])}
        if other and self._on_conflict == "error":
            name, arena = next(iter(other)), self.place.partition(":")[2]
            option = "max_entries" if tables[name].algorithm == "sliding_log" else "max_keys"
            options = f"max_keys={self._max_keys} and max_entries={self._max_entries}"
            remove = ", or, while nobody uses them, " + ", ".join(f"`tidegate rm {arena} {name}`" for name in other)
            raise ConfigurationError(
                f"tidegate: {option}: {name!r} in the arena {arena!r} was made for {other[name]} keys, here {options} "
                f'make it {self._keys(*tables[name][:2])}; declare the same, say on_conflict="keep"'
                f"{remove if self.place.startswith('host:') else ''}"
            )
        return other

    def _keys(self, algorithm: str, limit: int) -> int:
        """How many keys a table of one's own has room for."""
        if algorithm == "sliding_log":
            return max(1, min(self._max_keys, self._max_entries // max(1, limit)))
        return self._max_keys

    def _follow(self) -> None:
        if self._follows and self._clock is not None:
            # As libraries for tests replace it.
            self._clock.set_ns(_time_ns())

    def _table(self, at: tuple[Any, ...], make: Callable[[], T]) -> T:
        self._follow()
        table: T | None = self._tables.get(at)
        if table is None:
            # No lock, which a child of fork might find taken: two threads may make one, and the first is everybody's.
            table = self._tables.setdefault(at, make())
        return table

    def _limiter(self, algorithm: Any, limit: int, expiry: float) -> RateLimiter:
        name = f"{PREFIX}{algorithm}:{limit}:{exact_seconds(expiry)}"

        def make() -> RateLimiter:
            keys = self._kept.get(name) or self._keys(algorithm, limit)
            return RateLimiter(
                limit, expiry, algorithm=algorithm, max_keys=keys, clock=self._clock, scope=self._scope, name=name
            )

        try:
            return make()
        except ConfigError as error:
            raise ConfigurationError(f"tidegate: {error}") from error
        except ArenaError as error:
            if error.kind != "shape":
                raise
            # Another version of the program has made it since this one has begun.
            self._kept = self._check_declared()
            return make()

    def counter(self, expiry: float) -> RateLimiter:
        """Of fixed windows. None of a table's ends early, nor later than the second tick after its time, and a tick is
        less than 1 / 2**15 of it.
        """
        return self._table(
            ("counter", expiry), lambda: self._limiter("fixed_window", _MOST_HITS, expiry)
        )

    def know(self, key: str) -> None:
        """Opens the table of a key's fixed window where others may have counted in it.

        The invariant: what a key has used does not depend on who asks. A key ends in its window's length, as
        ``RateLimitItem.key_for`` writes it.
        """
        parts = key.rsplit("/", 2)
        if self.place == "process" or len(parts) < 3 or not (parts[1].isascii() and parts[1].isdigit()):
            return
        item = GRANULARITIES.get(parts[2])
        expiry = 0 if item is None else int(parts[1]) * item.GRANULARITY.seconds
        if expiry:
            self.counter(expiry)

    def window(self, expiry: float) -> RateLimiter:
        """Of sliding window counters."""
        return self._table(
            ("window", expiry), lambda: self._limiter("sliding_window", _MOST_SLIDING, expiry)
        )

    def tier(self, limit: int, expiry: float) -> Tier:
        if limit > _MOST_SLIDING:
            raise ConfigurationError(
                f"tidegate: sliding-window-counter goes up to {_MOST_SLIDING} per window, got {limit}; "
                "take fixed-window"
            )
        return self._table(("tier", limit, expiry), lambda: self.window(expiry).tier(limit, expiry))

    def log(self, limit: int, expiry: float) -> _Log:
        """Of moving windows."""
        if limit > _MOST_LOGGED:
            raise ConfigurationError(
                f"tidegate: moving-window remembers up to {_MOST_LOGGED} hits of a key, got {limit}; take "
                "sliding-window-counter, which needs two numbers for any limit"
            )

        def make() -> _Log:
            limiter = self._limiter("sliding_log", limit, expiry)
            return _Log(limiter, LimitSet(log=limiter))

        return self._table(("log", limit, expiry), make)

    def hit(self, key: str, expiry: float, amount: int) -> int:
        """Counts in the key's fixed window, and says how many there are."""
        table = self.counter(expiry)
        if self.ends is None:
            count, left = table.hit(key, amount)
            if left - expiry > self._late.get(expiry, 0.0):
                # A window has begun, which ends on a tick behind its time.
                self._late[expiry] = left - expiry
            return count
        return self.ends.counted(key, expiry, table, lambda table: table.hit(key, amount)[0])

    def counters(self, key: str) -> Iterator[tuple[float, RateLimiter]]:
        """The tables of fixed windows by their lengths, the key's window ended where it is over."""
        self._follow()
        for (kind, *about), table in [*self._tables.items()]:
            if kind == "counter":
                if self.ends is not None:
                    self.ends.look(key, about[0], table)
                yield about[0], table

    def left_of(self, key: str) -> Iterator[float]:
        """What is left of the key's fixed windows: no more than of one that began with its first hit."""
        for expiry, table in self.counters(key):
            left = None if self.ends is None else self.ends.left(key, expiry)
            if left is None:
                left = min(expiry, max(0.0, table.peek(key).reset_after - self._late.get(expiry, 0.0)))
            yield left

    def logs(self) -> list[RateLimiter]:
        self._follow()
        return [table.limiter for at, table in [*self._tables.items()] if at[0] == "log"]

    def all(self) -> list[RateLimiter]:
        self._follow()
        others = [table for at, table in [*self._tables.items()] if at[0] in ("counter", "window")]
        return [*others, *self.logs()]


class _Operations:
    """What a storage does, for threads and event loops alike: nothing here waits."""

    def __init__(self, tables: _Tables) -> None:
        self._tables = tables

    @property
    def place(self) -> str:
        return self._tables.place

    def incr(self, key: str, expiry: float, amount: int) -> int:
        count = self._tables.hit(key, expiry, _whole(amount))
        return count if count < _MOST_HITS else _OVER

    def get(self, key: str) -> int:
        self._tables.know(key)
        count = 0
        for _, table in self._tables.counters(key):
            seen = table.peek(key)
            count = max(count, seen.limit - seen.remaining)
        return _Count(count if count < _MOST_HITS else _OVER)

    def get_expiry(self, key: str) -> float:
        self._tables.know(key)
        return time.time() + max(self._tables.left_of(key), default=0.0)

    def clear(self, key: str) -> None:
        self._tables.know(key)
        for table in (*(table for _, table in self._tables.counters(key)), *self._tables.logs()):
            table.reset(key)
        if self._tables.ends is not None:
            self._tables.ends.forget(key)

    def reset(self) -> int:
        tables = self._tables.all()
        keys = sum(len(table) for table in tables)
        for table in tables:
            table.reset_all()
        if self._tables.ends is not None:
            self._tables.ends.forget()
        return keys

    def acquire_entry(self, key: str, limit: int, expiry: float, amount: int) -> bool:
        amount = _whole(amount)
        return 0 < limit >= amount and self._tables.log(limit, expiry).limiter.try_acquire(key, amount)

    def get_moving_window(self, key: str, limit: int, expiry: float) -> tuple[float, int]:
        now = time.time()
        if limit < 1:
            return now, 0
        log = self._tables.log(limit, expiry)
        count = limit - log.limiter.peek(key).remaining
        # One more than fits has to wait until the oldest entry is gone.
        until = log.look.peek({"log": key}, n=limit - count + 1).retry_after if count else 0.0
        return (now - expiry + until, count) if until else (now, 0)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: float, amount: int) -> bool:
        amount = _whole(amount)
        return amount <= limit and self._tables.window(expiry).try_acquire(
            key, amount, self._tables.tier(limit, expiry)
        )

    def get_sliding_window(self, key: str, expiry: float) -> tuple[int, float, int, float]:
        table = self._tables.window(expiry)
        previous, current, left = table.windows(key)
        if previous:
            # The library rounds the share of the window before down, and the table up: what it asks here must not
            # promise what a hit is then refused.
            seen = table.peek(key)
            current = max(current, seen.limit - seen.remaining - math.floor(previous * left / expiry))
        return previous, left if previous else 0.0, current, left + expiry

    def clear_sliding_window(self, key: str, expiry: float) -> None:
        self._tables.window(expiry).reset(key)


def _again(storage: Any, uri: str | None, wrap_exceptions: bool, options: dict[str, Any]) -> Any:
    """What unpickling calls."""
    return storage(uri, wrap_exceptions, **options)


class _Made:
    """What both storages are made of."""

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        max_keys: int | str = 100_000,
        max_entries: int | str | None = None,
        clock: ManualClock | str | None = None,
        on_conflict: str = "error",
    ) -> None:
        super().__init__(uri, wrap_exceptions)  # type: ignore[call-arg]  # Of the storage beside it.
        self._do = _Operations(_Tables(uri, max_keys, max_entries, clock, on_conflict))
        options = {"max_keys": max_keys, "max_entries": max_entries, "on_conflict": on_conflict}
        self._given = (uri, wrap_exceptions, options)

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._do.place.startswith("host:"):
            # The twin would admit everything once more.
            raise TypeError(
                f"tidegate: the scope {self._do.place!r} counts in one process, and cannot be pickled for another; "
                "tidegate://host:NAME is one for all processes of the machine"
            )
        return _again, (type(self), *self._given)

    @property
    def storage(self) -> str:
        """Where it is, as flask-limiter's command shows it."""
        return self._do.place

    @property
    def base_exceptions(self) -> type[Exception]:
        """What wrap_exceptions wraps."""
        return ValueError


class TidegateStorage(
    _Made, limits.storage.Storage, limits.storage.MovingWindowSupport, limits.storage.SlidingWindowCounterSupport
):
    """``tidegate://``: limits' storage on tidegate's tables.

    Args:
        uri: ``tidegate://``, with a scope as in ``tidegate://host:orders`` (default: what TIDEGATE_SCOPE says, else
            private), and options as in ``tidegate://?max_keys=100000&max_entries=1000000``.
        wrap_exceptions: as every storage of limits has it.
        max_keys: how many live keys each length of window has room for; more share counts, and are refused early.
        max_entries: how many hits the tables of each moving-window limit remember for all keys together; default:
            1,000,000, and 100,000 in a named scope, whose memory is an arena's.
        clock: for tests: a ManualClock, or "time.time" for one that follows it, as in ``tidegate://?clock=time.time``:
            freezegun and the like replace that, and move no clock of the machine.
        on_conflict: when the tables of a named scope were made for other ``max_keys`` or ``max_entries``: "error", here
            and not at the first hit, or "keep", which takes them as they are.

    A cost that is no whole number counts as the next one.

    Safe from any number of threads; nothing blocks. In a scope that processes share, ``reset`` knows the windows that
    this process has asked for, and ``clear`` the moving ones.
    """

    STORAGE_SCHEME = ["tidegate"]

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Counts in the key's window of ``expiry`` seconds, which the first hit opens."""
        return self._do.incr(key, expiry, amount)

    def get(self, key: str) -> int:
        """The count of the key's window."""
        return self._do.get(key)

    def get_expiry(self, key: str) -> float:
        """When the key's window ends, in the seconds of ``time.time``; now, if there is none."""
        return self._do.get_expiry(key)

    def check(self) -> bool:
        """Always well."""
        return True

    def reset(self) -> int:
        """Forgets all keys and says how many there were."""
        return self._do.reset()

    def clear(self, key: str) -> None:
        """Forgets a key."""
        self._do.clear(key)

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Takes ``amount`` of a moving window."""
        return self._do.acquire_entry(key, limit, expiry, amount)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """The time of the oldest hit that counts, and how many do."""
        return self._do.get_moving_window(key, limit, expiry)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Takes ``amount`` of two weighted windows."""
        return self._do.acquire_sliding_window_entry(key, limit, expiry, amount)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count and seconds left, of the window before and of the present one."""
        return self._do.get_sliding_window(key, expiry)

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forgets a key of the sliding window counter."""
        self._do.clear_sliding_window(key, expiry)


class AsyncTidegateStorage(
    _Made,
    limits.aio.storage.Storage,
    limits.aio.storage.MovingWindowSupport,
    limits.aio.storage.SlidingWindowCounterSupport,
):
    """``async+tidegate://``: as TidegateStorage, for ``limits.aio``."""

    STORAGE_SCHEME = ["async+tidegate"]

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """As TidegateStorage.incr."""
        return self._do.incr(key, expiry, amount)

    async def get(self, key: str) -> int:
        """As TidegateStorage.get."""
        return self._do.get(key)

    async def get_expiry(self, key: str) -> float:
        """As TidegateStorage.get_expiry."""
        return self._do.get_expiry(key)

    async def check(self) -> bool:
        """Always well."""
        return True

    async def reset(self) -> int:
        """As TidegateStorage.reset."""
        return self._do.reset()

    async def clear(self, key: str) -> None:
        """As TidegateStorage.clear."""
        self._do.clear(key)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """As TidegateStorage.acquire_entry."""
        return self._do.acquire_entry(key, limit, expiry, amount)

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """As TidegateStorage.get_moving_window."""
        return self._do.get_moving_window(key, limit, expiry)

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """As TidegateStorage.acquire_sliding_window_entry."""
        return self._do.acquire_sliding_window_entry(key, limit, expiry, amount)

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """As TidegateStorage.get_sliding_window."""
        return self._do.get_sliding_window(key, expiry)

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """As TidegateStorage.clear_sliding_window."""
        self._do.clear_sliding_window(key, expiry)


def _check_scope(place: str) -> None:
    """ConfigurationError for what is no scope; opens none, for applications may fork before their first hit."""
    kind, _, name = place.partition(":")
    if place == "process":
        return
    try:
        if kind in ("host", "process"):
            HostScope(name)
            return
    except (ArenaError, ConfigError):
        pass
    try:
        RateLimiter("1/s", scope=place, name="limits")
    except (ArenaError, ConfigError) as error:
        raise ConfigurationError(f"tidegate: {error}") from error
    raise ConfigurationError(f"tidegate: {place!r} is not a scope")


def _entries(place: str) -> int:
    return 1_000_000 if place == "process" else 100_000


def _whole(amount: float) -> int:
    """As many hits as a cost counts for; more than a table can count, which is over any limit, is the most it takes."""
    return math.ceil(min(amount, _MOST_COST))


def _number(name: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if isinstance(value, bool) or number < 1:
        raise ConfigurationError(f"tidegate: {name} must be a whole number of 1 or more, got {value!r}")
    return number

"""Reload of policies: what changes, when, and who is told."""

from __future__ import annotations

import _thread
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from ._gate import WRITTEN
from ._log import log
from ._tidegate import CircuitBreaker, ConcurrencyLimiter, LoadShedder, RateLimiter, TokenBucket
from ._written import arguments, written
from .errors import ConfigError, PolicyError, Problem

# What is reloaded, which knows this module.
Policy: TypeAlias = Any


SECTIONS = ("limits", "concurrency", "queues", "shedders", "breakers", "gates")


class Change(NamedTuple):
    """One thing that a reload has changed."""

    #: Of an object, or of one of its settings: ``"limits.client.rate"``.
    path: str
    #: What held before, as a file writes it; None: there was none.
    before: str | None
    #: What holds now; None: nothing.
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.path}: becomes {self.after}" if self.after else f"{self.path}: is added"
        if self.after is None:
            return f"{self.path}: is no longer {self.before or 'there'}"
        return f"{self.path}: {self.before} becomes {self.after}"


class Reloaded(NamedTuple):
    """What a reload did."""

    #: All of them in force.
    changes: tuple[Change, ...]
    #: How many reloads of the policy succeeded.
    generation: int


def error_of(read: tuple[str, ...]) -> PolicyError:
    """The error that the core tells: a message, and the problems as JSON."""
    return PolicyError(read[0], tuple(Problem(**problem) for problem in json.loads(read[1])))


def change(policy: Policy, text: str | None) -> Reloaded:
    """Policy.reload, under its lock."""
    reloading = policy._reloading
    if text is None:
        # Before it is read: what is written meanwhile is seen the next time.
        reloading.look()
    try:
        done, settings = _change(policy, text)
    except BaseException:
        reloading.failed += 1
        raise
    for (section, name), made in policy._made.items():
        if section == "gates" and is_there(settings, section, name):
            WRITTEN[made].told = written(settings, name)
    return done


def is_there(settings: dict[str, Any], section: str, name: str) -> bool:
    """Whether a policy has what was made under a name."""
    return name in settings.get("breakers" if section == "retries" else section, {})


def _change(policy: Policy, text: str | None) -> tuple[Reloaded, dict[str, Any]]:
    file, before = policy._file, policy._read[0]
    read = file.read_again(text)
    if len(read) == 2:
        raise error_of(read)
    settings, told, found, changes = read
    after = json.loads(settings)
    changed = tuple(Change(**it) for it in json.loads(changes))
    undo: list[Callable[[], None]] = []
    unsure = _is_unsure(policy)
    try:
        for section, name, of in _objects(before, policy._known, after, unsure):
            steps = _steps(policy, section, name, of, unsure)
            if steps is None:
                continue
            forth, back = steps
            # Before: it may be half done.
            undo.append(back)
            try:
                forth()
            except (ConfigError, TypeError) as error:
                raise error_of(file.problem(section, name, str(error))) from error
        generation = file.accept()
        if isinstance(generation, tuple):
            raise error_of(generation)
    except BaseException:
        for back in reversed(undo):
            back()
        raise
    known = policy._known
    policy._known = {**after, **{it: {**known.get(it, {}), **after.get(it, {})} for it in SECTIONS}}
    policy._read = after, told, found
    policy._reloading.is_forked = False
    return Reloaded(changed, generation), after


def _is_unsure(policy: Policy) -> bool:
    """Whether objects may be as no file here said: another process's policy is in force, or a thread of a parent was at
    it at the fork.
    """
    found = policy.in_force
    return policy._reloading.is_forked or (found is not None and found.hash != policy.hash)


def _objects(
    before: dict[str, Any], known: dict[str, Any], after: dict[str, Any], unsure: bool
) -> list[tuple[str, str, tuple[Any, Any, bool]]]:
    """What was known and is there now, and is not the same or comes back; of whom one is unsure, all."""
    return [
        (section, name, (old, after[section][name], name not in before.get(section, {})))
        for section in ("limits", "concurrency", "shedders", "breakers")
        for name, old in known.get(section, {}).items()
        if name in after.get(section, {})
        and (unsure or after[section][name] != old or name not in before.get(section, {}))
    ]


def _steps(
    policy: Policy, section: str, name: str, of: tuple[dict[str, Any], dict[str, Any], bool], unsure: bool
) -> tuple[Callable[[], None], Callable[[], None]] | None:
    """How an object is changed, and changed back; None: there is nothing to change in it."""
    old, new = (arguments(it) for it in of[:2])
    # It is given all it says: who held it, or another process, may have changed it since.
    returns = of[2]
    if returns and (section, name) not in policy._made:
        # It will be made of what the file says now.
        return None
    returns = returns or unsure

    # One that nobody has asked for is made first: others may have it, in an arena.
    if section == "limits":
        quotas: list[dict[str, Any]] = [
            {it: own[it] for it in ("rate", "burst", "queue") if it in own} for own in (old, new)
        ]
        if quotas[0] == quotas[1] and not returns:
            return None
        limit: TokenBucket | RateLimiter = _made(policy, section, name, policy.limit)
        if unsure:
            quotas[0] = _quota_in_force(limit, new.get("algorithm"))
        return (lambda: limit.set_quota(**quotas[1])), (lambda: limit.set_quota(**quotas[0]))
    if section == "concurrency":
        # A file that says nothing of its room leaves it.
        limiter: ConcurrencyLimiter = _made(policy, section, name, policy.concurrency)

        def put(own: dict[str, Any], other: dict[str, Any]) -> None:
            if own.get("limit") != other.get("limit") or (returns and "limit" in own):
                limiter.set_limit(own["limit"])
            if own.get("partitions") != other.get("partitions") or (returns and "partitions" in own):
                limiter.set_shares(own["partitions"])

        if unsure:
            found = {"limit": limiter.limit, "partitions": limiter.shares}
            old = {it: found[it] for it in found if it in new}
        return (lambda: put(new, old)), (lambda: put(old, new))
    if section == "shedders":
        shedder: LoadShedder | None = policy._made.get((section, name))
        if shedder is None:
            return None
        return (lambda: tune(shedder, new)), (lambda: tune(shedder, old))
    old.pop("retry", None), new.pop("retry", None)
    if old == new and not returns:
        return None
    breaker: CircuitBreaker = _made(policy, section, name, policy.breaker)
    # What one of them leaves out is its default there.
    names = {*old, *new}
    if unsure:
        old = breaker.config
        names |= {*old}
    settings = [{it: own.get(it) for it in names} for own in (old, new)]
    return (lambda: breaker.set_config(**settings[1])), (lambda: breaker.set_config(**settings[0]))


def _quota_in_force(limit: TokenBucket | RateLimiter, algorithm: str | None) -> dict[str, Any]:
    quota: dict[str, Any] = {"rate": limit.count, "per": limit.period}
    if algorithm == "leaky_bucket":
        return {**quota, "queue": limit.burst - 1}
    return quota if algorithm in ("sliding_log", "sliding_window", "fixed_window") else {**quota, "burst": limit.burst}


def _made(policy: Policy, section: str, name: str, make: Callable[[str], Any]) -> Any:
    # Of a name that comes back the policy in force says nothing yet.
    made = policy._made.get((section, name))
    return make(name) if made is None else made


# What of a shedder is changed in place, beside the ranges of its signals.
_TUNED = ("rise", "fall", "min_admit", "critical_at", "critical_after", "cool_off")


def tune(shedder: LoadShedder, settings: dict[str, Any]) -> None:
    """Gives a shedder what a file says; what it leaves out is the default."""
    ranges = {it.get("name", it["kind"]): (it["start"], it["full"]) for it in settings["signals"]}
    shedder.set_config(ranges, **{it: settings.get(it) for it in _TUNED})


class Watch:
    """What reloads a policy by itself, until ``cancel()``."""

    __slots__ = ("_end",)

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def cancel(self) -> None:
        """Ends it; a reload that is under way is finished."""
        end, self._end = self._end, None
        if end is not None:
            end()


class Reloading:
    """When a policy is read again, and what was said of it."""

    __slots__ = ("_path", "_said", "_seen", "_turn", "failed", "is_forked")

    def __init__(self, path: str | None) -> None:
        self._path = path
        #: Reloads that changed nothing, for what was wrong.
        self.failed = 0
        #: A thread of a parent may have left objects half changed.
        self.is_forked = False
        self._seen: object = None
        # The last mistake, and the last policy of another process.
        self._said: dict[str, str | None] = {}
        # Who watches and who hears a signal say each thing once.
        self._turn = threading.Lock()
        self.look()

    def after_fork(self) -> None:
        """Of its policy."""
        self._turn = threading.Lock()
        self.is_forked = True

    def _file(self) -> object:
        if self._path is None:
            return None
        try:
            now = os.stat(self._path)
        except OSError:
            return None
        return now.st_mtime_ns, now.st_ino, now.st_size

    def look(self) -> None:
        """What the file is now."""
        self._seen = self._file()

    def is_changed(self) -> bool:
        """Whether it is another than when it was read last."""
        return self._file() != self._seen

    def once(self, policy: Policy, always: bool) -> Reloaded | None:
        """Reloads where there is a reason, and logs what came of it, each thing once. Raises nothing."""
        with self._turn:
            try:
                done: Reloaded | None = policy.reload() if always else policy.reload_if_changed()
            except Exception as error:
                self._say("wrong", str(error), "the policy stays as it is, nothing of the file was applied:\n%s", error)
                return None
            if done is not None:
                self._said.pop("wrong", None)
                changes = "".join(f"\n{change}" for change in done.changes)
                log.info("the policy %s is in force (reload %d)%s", policy.hash, done.generation, changes)
            found = policy.in_force
            if found is not None and found.hash != policy.hash:
                text = (
                    "another process has put the policy %s in force in %s, number %d there; here %s was read: all that "
                    "is shared follows the other, until this file says the same or is reloaded"
                )
                self._say("other", found.hash, text, found.hash, policy.scope, found.generation, policy.hash)
            else:
                self._said.pop("other", None)
            return done

    def _say(self, about: str, what: str, text: str, *args: object) -> None:
        if self._said.get(about) != what:
            self._said[about] = what
            log.warning(text, *args)

    def watch(self, policy: Policy, interval: float, on_reload: Callable[[Reloaded], Any] | None) -> Watch:
        """Policy.watch."""
        if self._path is None:
            raise ConfigError("the policy was made of no file: there is none to watch")
        if isinstance(interval, bool) or not isinstance(interval, (int, float)):
            raise TypeError(f"interval: expected a number of seconds, got {type(interval).__name__}")
        if not 0.01 <= interval <= 86_400:
            raise ConfigError(f"interval: {interval!r} s is not within 0.01 s to 86400 s")
        _listener(on_reload)
        # Not at the start of the program: threads need no loop.
        import asyncio


        async def run() -> None:
            seen = self._file()
            while True:
                await asyncio.sleep(interval)
                before, seen = seen, self._file()
                if seen != before:
                    # Who saves it may not have ended: half of a file may be a policy too.
                    continue
                # Who holds a gate alone has the policy watched all the same.
                done = await asyncio.to_thread(self.once, policy, False)
                if done is not None:
                    _tell(on_reload, done)

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "policy.watch: no event loop runs here; call it in a coroutine, or reload with policy.reload()"
            ) from None
        task = loop.create_task(run(), name="tidegate policy watch")

        def end() -> None:
            loop = task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

        return Watch(end)

    def reload_on(self, policy: Policy, signum: int | None, on_reload: Callable[[Reloaded], Any] | None) -> Watch:
        """Policy.reload_on."""
        if self._path is None:
            raise ConfigError("the policy was made of no file: there is none to reload")
        number = getattr(signal, "SIGHUP", None) if signum is None else signum
        if number is None:
            raise ConfigError(f"signum: {sys.platform} has no SIGHUP; give another, or use watch()")
        _listener(on_reload)

        def run() -> None:
            done = self.once(policy, True)
            if done is not None:
                _tell(on_reload, done)

        def handle(_number: int, _frame: object) -> None:
            # Not here: the main thread may hold the very lock. And no Thread, whose start waits for locks of its own.
            _thread.start_new_thread(run, ())

        before = signal.signal(number, handle)

        def end() -> None:
            if signal.getsignal(number) is handle:
                signal.signal(number, signal.SIG_DFL if before is None else before)

        return Watch(end)


def _listener(on_reload: Any) -> None:
    if on_reload is not None and not callable(on_reload):
        raise TypeError(f"on_reload: expected a function of what a reload did, got {type(on_reload).__name__}")


def _tell(on_reload: Callable[[Reloaded], Any] | None, done: Reloaded) -> None:
    if on_reload is None:
        return
    try:
        on_reload(done)
    except Exception:
        log.exception("on_reload of a policy raised; the policy is in force all the same")

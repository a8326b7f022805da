"""The wheel and the C library in one process, shared and static: copies of the core on one arena, each with a process
slot of its own."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import tidegate

LIBRARY = Path(__file__).resolve().parents[2] / "target/ffi-tests/release/lib/libtidegate.so"
OK, DENIED, NOT_HELD = 0, 1, 6


class ArenaConfig(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("path", ctypes.c_char_p),
        ("group", ctypes.c_char_p),
        ("capacity", ctypes.c_size_t),
    ]


class ConcurrencyConfig(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("clock", ctypes.c_void_p),
        ("arena", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("limit", ctypes.c_uint32),
        ("max_limit", ctypes.c_uint32),
        ("mode", ctypes.c_int32),
        ("on_conflict", ctypes.c_int32),
    ]


class Permit(ctypes.Structure):
    _fields_ = [("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


@pytest.mark.skipif(not LIBRARY.exists(), reason="tests/c/run has not built the C library")
def test_each_copy_holds_its_own_permits_and_takes_the_other_for_alive(arenas: Path) -> None:
    library = ctypes.CDLL(str(LIBRARY))
    library.tg_concurrency_release.argtypes = [ctypes.c_void_p, Permit]
    limiter = tidegate.ConcurrencyLimiter(2, scope=tidegate.HostScope("two", path=arenas), name="calls")
    arena, calls, permit = ctypes.c_void_p(), ctypes.c_void_p(), Permit()
    where = ArenaConfig(ctypes.sizeof(ArenaConfig), b"two", bytes(arenas), None, 0)
    assert library.tg_arena_open(ctypes.byref(where), ctypes.byref(arena)) == OK
    config = ConcurrencyConfig(ctypes.sizeof(ConcurrencyConfig), None, arena, b"calls", 2, 0, 0, 0)
    assert library.tg_concurrency_new(ctypes.byref(config), ctypes.byref(calls)) == OK

    first, second = limiter.try_acquire(), limiter.try_acquire()
    assert first is not None and second is not None
    assert library.tg_concurrency_try_acquire(calls, ctypes.byref(permit)) == DENIED
    first.release()
    assert library.tg_concurrency_try_acquire(calls, ctypes.byref(permit)) == OK
    assert limiter.try_acquire() is None
    assert limiter.stats().reclaimed == 0

    child = os.fork()
    if child == 0:
        released = library.tg_concurrency_release(calls, permit)
        os._exit(0 if released == NOT_HELD and limiter.try_acquire() is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert library.tg_concurrency_release(calls, permit) == OK
    assert limiter.stats().in_use == 1
    library.tg_concurrency_free(calls)
    library.tg_arena_free(arena)


STATIC = LIBRARY.with_suffix(".a")


@pytest.mark.skipif(not LIBRARY.exists() or not STATIC.exists(), reason="tests/c/run has not built the C library")
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_shared_static_and_wheel_obey_one_limit_and_each_gives_back_its_own(arenas: Path, tmp_path: Path) -> None:
    # What a program that is linked with the static library, or a plug-in of such, has in itself.
    linked = tmp_path / "linked.so"
    whole = ["-Wl,--whole-archive", str(STATIC), "-Wl,--no-whole-archive", "-Wl,-Bsymbolic"]
    subprocess.run(["cc", "-shared", "-o", str(linked), *whole, "-lpthread", "-ldl", "-lm"], check=True)
    copies = [ctypes.CDLL(str(LIBRARY)), ctypes.CDLL(str(linked))]
    limiter = tidegate.ConcurrencyLimiter(3, scope=tidegate.HostScope("three", path=arenas), name="calls")
    where = ArenaConfig(ctypes.sizeof(ArenaConfig), b"three", bytes(arenas), None, 0)
    calls: list[ctypes.c_void_p] = []
    for copy in copies:
        copy.tg_concurrency_release.argtypes = [ctypes.c_void_p, Permit]
        arena, opened = ctypes.c_void_p(), ctypes.c_void_p()
        assert copy.tg_arena_open(ctypes.byref(where), ctypes.byref(arena)) == OK
        config = ConcurrencyConfig(ctypes.sizeof(ConcurrencyConfig), None, arena, b"calls", 3, 0, 0, 0)
        assert copy.tg_concurrency_new(ctypes.byref(config), ctypes.byref(opened)) == OK
        calls.append(opened)

    own = limiter.try_acquire()
    assert own is not None
    permits = [Permit(), Permit()]
    for copy, opened, permit in zip(copies, calls, permits):
        assert copy.tg_concurrency_try_acquire(opened, ctypes.byref(permit)) == OK
    # Full, whoever asks, and long enough that each has looked for the dead among the others.
    for _ in range(30):
        assert limiter.try_acquire() is None
        for copy, opened in zip(copies, calls):
            assert copy.tg_concurrency_try_acquire(opened, ctypes.byref(Permit())) == DENIED
        time.sleep(0.001)
    assert limiter.stats().reclaimed == 0
    for copy, opened, others in zip(copies, calls, reversed(permits)):
        assert copy.tg_concurrency_release(opened, others) == NOT_HELD
    for copy, opened, permit in zip(copies, calls, permits):
        assert copy.tg_concurrency_release(opened, permit) == OK
        taken = limiter.try_acquire()
        assert taken is not None
        taken.release()
    own.release()
    assert limiter.stats().in_use == 0

"""A permit is for one call: `with` enters it once, and not when it is back."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest
from conftest import Thread, run
from tidegate import CircuitBreaker, ConcurrencyLimiter, Gate

KINDS = {
    "a permit of a ConcurrencyLimiter": ConcurrencyLimiter(1).acquire,
    "a permit of a CircuitBreaker": CircuitBreaker("once").acquire,
    "an Admission of a Gate": Gate("once", concurrency={"all": ConcurrencyLimiter(1)}).enter,
}
BACK = {"a permit of a ConcurrencyLimiter": "release", "a permit of a CircuitBreaker": "success"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_permit_is_entered_once(kind: str, is_async: bool) -> None:
    if is_async and "Breaker" in kind:
        pytest.skip("a breaker's permit is reported at once")

    def enter(permit: Any) -> None:
        async def main() -> None:
            async with permit:
                pass

        if is_async:
            run(main())
        else:
            with permit:
                pass

    permit = KINDS[kind]()
    enter(permit)
    with pytest.raises(RuntimeError, match=f"{kind}: it is given back already"):
        enter(permit)
    permit = KINDS[kind]()
    getattr(permit, BACK.get(kind, "finish"))()
    with pytest.raises(RuntimeError, match=f"{kind}: it is given back already"):
        enter(permit)
    permit = KINDS[kind]()
    with permit, pytest.raises(RuntimeError, match=f"{kind}: a `with` has entered it already"):
        enter(permit)


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_threads_one_enters(kind: str) -> None:
    permit: Any = KINDS[kind]()
    entered: list[int] = []
    refused: list[str] = []

    def view(number: int) -> None:
        try:
            with permit:
                entered.append(number)
        except RuntimeError as error:
            refused.append(str(error))

    for thread in [Thread(functools.partial(view, number)) for number in range(5)]:
        thread.finish()
    assert len(entered) == 1 and len(refused) == 4


@pytest.mark.parametrize(
    "made",
    [
        "permit = ConcurrencyLimiter(2).acquire()",
        "admission = Gate('end', concurrency={'all': ConcurrencyLimiter(1)}).enter()",
        "permit = CircuitBreaker('end').acquire()",
    ],
)
def test_what_a_module_holds_at_the_end_is_dropped_in_silence(made: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"from tidegate import *\n{made}"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
